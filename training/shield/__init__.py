"""Measures what sets are worth to a robot that verifies its stops with them."""
