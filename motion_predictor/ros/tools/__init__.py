"""Tools that replay recordings, and measure and show the node."""
