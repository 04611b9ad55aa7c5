"""Searches for the network sizes and training settings that give the best students."""
