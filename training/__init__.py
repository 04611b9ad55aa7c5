"""Trains, distils, calibrates and evaluates motion predictors."""
