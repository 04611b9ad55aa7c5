"""Measures how much time a robot arm loses when it stays clear of predicted people."""
