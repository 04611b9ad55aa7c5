"""Fits the radii that a checkpoint promises."""
