"""Nodes that subscribe to predictions."""
