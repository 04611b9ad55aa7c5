"""Shared by everything: files, rigid transforms, statuses."""
