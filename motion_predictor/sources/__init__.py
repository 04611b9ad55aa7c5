"""Sources of skeletons: one small adapter for each message type, without ROS.

An adapter reads the fields of a message by name and returns `Bodies`. It does not need rclpy. So
the node and the importer of recordings use the same adapters, for messages of any library that
have the same fields.
"""
