"""The `view` node: shows `predicted_motion` on a page in the browser, on this machine.

The view is a separate process that only subscribes. The view draws at most 15 times per second,
and only while a browser has the page open.
"""

import sys
import time
from contextlib import closing
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.utilities import remove_ros_args

from motion_predictor.common.arguments import Parser
from motion_predictor.common.status import Status
from motion_predictor.msg import PredictedMotionArray
from motion_predictor.planning.latest import Inbox, Limits, Reason, is_well_formed
from motion_predictor.planning.outlook import Outlook
from motion_predictor.ros.common.processes import listening, seconds, until_interrupted
from motion_predictor.ros.consumers.monitored import MonitoredRobot
from motion_predictor.view.command import RATE_HZ, add_page_arguments, open_page
from motion_predictor.view.moment import Moment

if TYPE_CHECKING:  # the package viser may be missing
    from motion_predictor.view.page import Page

LIMITS = Limits(silent_after_s=1.0, max_age_s=1.0)
"""Limits for the page are longer than for a robot, because people who look at the page react more
slowly."""
SHOWN_ALL_THE_SAME = (Reason.USABLE, Reason.WARMING_UP, Reason.TOO_MANY, Reason.UNREADABLE)
"""Reasons with which a message may still predict some of the people."""


class ViewNode(Node):
    """Passes predictions to the page that draws them."""

    def __init__(self, page: 'Page') -> None:
        super().__init__('motion_view')
        self._page = page
        self._inbox = Inbox(LIMITS)
        self._robot = MonitoredRobot(self)
        self.create_subscription(
            PredictedMotionArray, 'predicted_motion', self._on_prediction, QoSProfile(depth=1)
        )

    def _on_prediction(self, message: PredictedMotionArray) -> None:
        self._inbox.put(message)
        if self._page.is_watched and is_well_formed(message):
            self._page.take(self._moment(message))

    def _moment(self, message: PredictedMotionArray) -> Moment:
        stamp_s = seconds(message.header.stamp)
        now_s = self.get_clock().now().nanoseconds * 1e-9
        predicted = copy(message)
        predicted.motions = [m for m in message.motions if len(m.mean)]
        return Moment(
            Outlook.of(predicted, age_s=0.0),
            {m.id: _name_of(m.status) for m in message.motions},
            _name_of(message.status),
            1000 * (seconds(message.published) - stamp_s),
            1000 * (now_s - stamp_s),
            self._robot.now(),
            {
                m.id: np.array(m.last_pose, np.float32).reshape(-1, 3)
                for m in message.motions
                if not len(m.mean) and len(m.last_pose)
            },
        )

    def draw(self) -> None:
        """Draw the newest moment, and a sentence about the state of the predictions."""
        reason = self._inbox.latest(self.get_clock().now().nanoseconds).reason
        good = reason in SHOWN_ALL_THE_SAME
        newest = self._page.memory.newest
        told = newest.status if good and newest else reason.name.replace('_', ' ')
        self._page.draw(f'{told}: {reason.value}', good)


def _name_of(status: int) -> str:
    """Return the name of a status, or its number if the status has no name."""
    return Status(status).name if status in Status._value2member_map_ else str(status)


def main(args: list[str] | None = None) -> int:
    """Serve the page until an interrupt. Without viser, print one sentence to stderr."""
    command_line = sys.argv if args is None else ['view', *args]
    parser = Parser(prog='view', description='Show predictions in the browser.')
    add_page_arguments(parser, truth=False)
    page = open_page(parser.parse_args(remove_ros_args(command_line)[1:]))
    rclpy.init(args=command_line)
    node = ViewNode(page)
    with until_interrupted(), closing(page), listening(node):
        while rclpy.ok():
            started_s = time.monotonic()
            if page.is_watched:
                node.draw()
            time.sleep(max(0.0, 1 / RATE_HZ - (time.monotonic() - started_s)))
    return 0
