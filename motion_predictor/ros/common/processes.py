"""Runs executables of the package as processes, and a node that listens to them."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

PATIENCE_S = 10.0


def isolate() -> None:
    """Isolate this process and its child processes from all other ROS nodes.

    They receive no messages of other nodes, and no robot receives theirs. Call this before
    rclpy.init.
    """
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)


def end_on_sigterm() -> None:
    """Make SIGTERM raise KeyboardInterrupt, as SIGINT does. Call this before rclpy.init.

    Otherwise rclpy handles SIGTERM, and a program that waits for messages would not end.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """End without a traceback when the process is interrupted, and always shut ROS down."""
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
    """Run an executable from the folder of this process's executable; interrupt it at the end.

    It is killed if it does not end within `PATIENCE_S` after the interrupt.

    Args:
        name: name of the executable.
        arguments: arguments of its command line.
        environment: environment variables to add.
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
        with suppress(ExternalShutdownException):  # a signal has ended ROS
            executor.spin()

    threading.Thread(target=spin, name='listening', daemon=True).start()
    try:
        yield
    finally:
        executor.shutdown()


def seconds(stamp: Any) -> float:
    """Return the time of a builtin_interfaces/Time in seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)
