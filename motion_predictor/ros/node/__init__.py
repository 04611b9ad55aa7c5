"""The predictor node."""
