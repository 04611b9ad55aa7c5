"""Helpers that all parts share: files, rigid transforms, statuses, command lines, errors."""
