"""The `benchmark` executable: measures the speed of predictions, and the error of fast engines.

The benchmark imports the predictor, and the training package for the published sizes and the
many-step teacher. Only the measurement of messages imports ROS.
"""
