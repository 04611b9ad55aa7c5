"""What sets are worth to a robot: a monitored stop is verified against them, and the truth."""
