"""Measures how accurate and how calibrated predictions are."""
