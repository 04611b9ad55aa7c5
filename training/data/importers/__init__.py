"""Imports recorded motion. Each format has its own module."""
