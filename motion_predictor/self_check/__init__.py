"""Compares earlier predictions with later observations, and corrects the radii."""
