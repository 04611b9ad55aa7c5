"""Nodes that read predictions."""
