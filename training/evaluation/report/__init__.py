"""What was measured, as tables, files and plots."""
