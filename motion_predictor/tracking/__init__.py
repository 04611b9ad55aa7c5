"""Tracks the people that sources report, so that they can be predicted."""
