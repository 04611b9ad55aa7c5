"""Importers of recorded motion, one file a format."""
