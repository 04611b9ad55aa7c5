"""Predictions of recorded windows, by checkpoints and by what needs no learning."""
