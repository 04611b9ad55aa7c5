"""What is measured of predictions, one idea a file."""
