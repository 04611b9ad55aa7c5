"""Runs executables of the package as child processes, and the callbacks of a node in a thread."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

PATIENCE_S = 10.0


def isolate() -> None:
    """Isolate this process and its child processes from all other ROS nodes.

    The processes receive no messages from other nodes, and no robot receives their messages. Call
    `isolate` before rclpy.init.
    """
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)


def end_on_sigterm() -> None:
    """Make SIGTERM raise KeyboardInterrupt, as SIGINT does.

    Call `end_on_sigterm` before rclpy.init. Without `end_on_sigterm`, rclpy handles SIGTERM, and a
    program that waits for messages does not end.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """End the block without a traceback after an interrupt, and always shut ROS down."""
    try:
        yield
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


@contextmanager
def running(
    name: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator['subprocess.Popen[bytes]']:
    """Run an executable of the package, and send SIGINT to it when the block ends.

    The executable lies in the same folder as the executable of this process. An executable that
    runs longer than `PATIENCE_S` after SIGINT is killed.

    Args:
        name: name of the executable.
        arguments: command-line arguments of the executable.
        environment: environment variables to add for the executable.
    """
    path = Path(sys.argv[0]).resolve().parent / name
    process = subprocess.Popen([path, *arguments], env={**os.environ, **(environment or {})})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def listening(node: Node) -> Iterator[None]:
    """Run the callbacks of a node in a thread."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        try:
            executor.spin()
        except Exception:  # if a signal shuts ROS down during a callback, the callback may fail
            if rclpy.ok():
                raise

    threading.Thread(target=spin, name='listening', daemon=True).start()
    try:
        yield
    finally:
        executor.shutdown()


def seconds(stamp: Any) -> float:
    """Return a stamp of type builtin_interfaces/Time in seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)
