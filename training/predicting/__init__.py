"""Predictions of recorded windows, by checkpoints and by baselines."""
