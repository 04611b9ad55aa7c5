"""Trains, distils, calibrates and evaluates the predictors."""
