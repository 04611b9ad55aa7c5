"""Prepares motion archives, and cuts windows from them."""
