"""Searches for the best student."""
