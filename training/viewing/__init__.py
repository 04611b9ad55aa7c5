"""Shows recordings in the browser, without ROS."""
