"""Sources of skeletons: one small adapter for each type of message.

An adapter reads the fields of a message by name and returns `Bodies`. An adapter does not need
ROS. Therefore the node and the importer of recordings use the same adapters. Messages may come
from any library if they have the same fields.
"""
