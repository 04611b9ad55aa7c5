"""The node compares its predictions with what then happened, and corrects its radii."""
