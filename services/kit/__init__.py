"""What all three services need and no dispatcher, courier or clerk would recognise."""
