"""Recordings in the browser, without ROS."""
