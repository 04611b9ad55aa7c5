"""The live view: a browser page that shows people, their predictions and their true motion.

`moment` defines the data that is drawn. `memory` keeps earlier predictions, and `hindsight`
compares them with the true motion. `solids`, `scene` and `page` draw with the library viser. No
module of this package needs ROS.
"""
