"""Executables of the package as processes, and a node that listens to them."""

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
    """Isolate this process and those that it starts from other ROS nodes; call before rclpy.init.

    They receive no messages of others, and no robot receives theirs.
    """
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 100)


def end_on_sigterm() -> None:
    """Have SIGTERM raise KeyboardInterrupt, as SIGINT does; call before rclpy.init.

    rclpy handles SIGTERM otherwise, and a program that waits for messages would wait on.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """End quietly when the process is interrupted, and shut ROS down in any case."""
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
    """Run an executable of the same folder as this process's own, and interrupt it at the end.

    If it does not end within `PATIENCE_S` then, it is killed.

    Args:
        name: of the executable.
        arguments: of its command line.
        environment: further environment variables.
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
    """Have a thread handle what arrives at a node."""
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
    """Return a stamp in seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)
