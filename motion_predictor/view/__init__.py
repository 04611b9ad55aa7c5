"""The live view: a page in the browser that shows people, their futures and what then happened.

`moment` is the data that is drawn. `memory` and `hindsight` compare predictions with what then
happened. `solids`, `scene` and `page` draw with viser. No module of this package needs ROS.
"""
