"""Measures of predictions, one idea per file."""
