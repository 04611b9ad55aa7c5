"""How far off a prediction may be: radii, their calibration and what they rest on."""
