"""Helpers for all parts of the package: files, transforms, statuses, command lines, errors."""
