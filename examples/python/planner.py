#!/usr/bin/env python3
"""Chooses the speed of a robot arm that stands at the origin, depending on the people beside it.

The nearer people will come to the arm within a second, the slower the arm moves. While there are
no usable predictions, the arm stands still.
"""

import contextlib

import rclpy
from rclpy.executors import ExternalShutdownException

from motion_predictor.planning import Capsules, closest, touch
from motion_predictor.ros.consumers.subscription import Predictions

SLOW_M, STOP_M = 1.0, 0.3
ARM = Capsules.of(
    starts=[(0, 0, 0), (0, 0, 0.6), (0.4, 0, 0.9)],
    ends=[(0, 0, 0.6), (0.4, 0, 0.9), (0.8, 0, 0.6)],
    radii=[0.10, 0.08, 0.06],
)


def act(predictions: Predictions) -> None:
    """Choose the speed of the arm, and print it with the reason."""
    latest = predictions.latest()
    if not latest:
        print(f'speed 0.00: blind, {latest.reason}', flush=True)
        return
    if latest.is_nobody:
        print('speed 1.00: nobody is there', flush=True)
        return
    span = (0.0, min(1.0, latest.outlook.horizon_s))
    nearest = closest(latest.outlook, ARM, *span)
    speed = min(max((nearest.distance_m - STOP_M) / (SLOW_M - STOP_M), 0.0), 1.0)
    print(
        f'speed {speed:.2f}: {nearest.limb} of {nearest.person} is {nearest.distance_m:.2f} m '
        f'from capsule {nearest.capsule} in {nearest.time_s:.2f} s, touched with probability '
        f'{touch(latest.outlook, ARM, *span).share:.2f}',
        flush=True,
    )


rclpy.init()
node = rclpy.create_node('planner')
predictions = Predictions(node)
node.create_timer(0.05, lambda: act(predictions))
with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
    rclpy.spin(node)
