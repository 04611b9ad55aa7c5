"""Sources of skeletons: one small adapter for each message type, without ROS.

An adapter reads a message by the names of its fields and returns `Bodies`. So the node and the
importer of recordings share them, for messages of rclpy or others with the same fields.
"""
