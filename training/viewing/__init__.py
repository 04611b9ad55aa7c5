"""Shows recordings and their predictions in the browser, without ROS."""
