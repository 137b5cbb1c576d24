"""What surrounds the code: set-up, image, compose file, gateway, databases."""
