"""Uncertainty of predictions: radii around predicted joints, and the calibration of the radii."""
