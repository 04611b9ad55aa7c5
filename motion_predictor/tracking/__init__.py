"""Follows people over time: assigns reported poses to people and keeps a history per person."""
