"""Tools that replay recordings, and that measure the node or show its predictions."""
