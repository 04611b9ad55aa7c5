"""Sources of skeletons: one small adapter a message type, none of which needs ROS.

An adapter reads a message by the names of its fields and returns `Bodies`, so that the node and
the importer of recordings use the same ones, on messages of rclpy or on any that look like them.
"""
