"""The `benchmark` executable: how fast predictions are, and how good while they are fast.

It stands above everything else: it imports the predictor, the training package (published sizes,
the many-step teacher) and, only where messages are measured, what lies beside ROS.
"""
