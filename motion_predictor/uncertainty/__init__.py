"""How far off a prediction may be: radii and their calibration."""
