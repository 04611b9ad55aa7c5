"""Motion archives and windows over them."""
