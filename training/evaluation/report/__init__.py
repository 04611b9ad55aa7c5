"""Writes the results of an evaluation as tables, files and plots."""
