"""Results of an evaluation as tables, files and plots."""
