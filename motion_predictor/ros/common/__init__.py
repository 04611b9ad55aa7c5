"""Code that all nodes share."""
