"""Calibration: fits the radii of balls that hold joints with a promised probability."""
