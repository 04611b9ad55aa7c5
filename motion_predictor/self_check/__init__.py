"""What became of predictions: the node judges itself by what it sees, and corrects its radii."""
