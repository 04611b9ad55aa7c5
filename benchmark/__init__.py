"""The `benchmark` executable: how fast predictions are, and how good while they are fast.

It imports the predictor, the training package (published sizes, the many-step teacher) and, only
for measuring messages, the part with ROS.
"""
