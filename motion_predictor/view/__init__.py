"""The live view: a page in the browser that shows people, their futures and what then happened.

`moment` holds what is drawn. `memory` and `hindsight` compare it with what then happened.
`solids`, `scene` and `page` draw it with viser. Nothing here needs ROS.
"""
