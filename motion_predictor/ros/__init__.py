"""The ROS 2 part of the package: all code that imports rclpy or a message."""
