"""From what sources report to the people that can be predicted."""
