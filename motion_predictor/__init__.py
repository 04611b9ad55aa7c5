"""Predicts where the people beside a robot will be in the next two seconds."""

__version__ = '0.1.0'
