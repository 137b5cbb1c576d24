"""What lists and pages show, read without changing anything."""
