"""Importers of recorded motion, one file for each format."""
