"""Code that all ROS nodes of the package share."""
