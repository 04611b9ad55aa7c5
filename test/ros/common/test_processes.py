"""Nodes whose callbacks run in a thread end quietly."""

import subprocess
import sys

PROGRAM = """
import threading

import rclpy
from std_msgs.msg import Float64

from motion_predictor.ros.common.processes import listening

rclpy.init()
node = rclpy.create_node('interrupted')
publisher = node.create_publisher(Float64, 'nothing', 1)
ended = threading.Event()


def callback():
    rclpy.shutdown()  # as a signal does
    ended.set()
    publisher.publish(Float64())


node.create_timer(0.01, callback)
with listening(node):
    thread = next(t for t in threading.enumerate() if t.name == 'listening')
    assert ended.wait(60)
    thread.join(60)
    assert not thread.is_alive()
"""


def test_an_interrupt_during_a_callback_ends_without_a_traceback() -> None:
    done = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')
