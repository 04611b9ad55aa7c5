"""Tools that replay recordings, measure the predictor node and show its predictions."""
