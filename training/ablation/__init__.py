"""Measures how much each part of the method contributes (ablations)."""
