"""The commands `ros2 launch`, `run`, `lifecycle` and `param`; skipped without them."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from ament_index_python.packages import get_package_prefix, get_package_share_directory

ROS2 = shutil.which('ros2')
if ROS2 is None:
    pytest.skip('ros2 is part of a ROS 2 installation, not on PyPI', allow_module_level=True)

PATIENCE_S = 120.0
PACKAGE = 'motion_predictor'
SHARE = Path(get_package_share_directory(PACKAGE))
NODE = '/cell/people'
"""Name of the node with the launch arguments below."""


def ros2(*arguments: str) -> str:
    """Return the output of a command."""
    command = [str(ROS2), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked(command: str, verb: str, *arguments: str) -> str:
    """Return the output of a command about the node, or its error.

    No daemon is started, since it would outlive the test. There is a timeout:
    a command waits for ever if the middleware loses the response, which may happen to a client
    that the service does not know yet.
    """
    question = [str(ROS2), command, verb, '--no-daemon', '--spin-time', '5', NODE, *arguments]
    try:
        done = subprocess.run(question, capture_output=True, text=True, timeout=PATIENCE_S / 4)
    except subprocess.TimeoutExpired:
        return 'no response'
    return done.stdout if done.returncode == 0 else done.stderr


@contextmanager
def launched(*arguments: str, log: Path) -> Iterator[psutil.Process]:
    """Run a launch file. At the end, interrupt the launch; check that no process is left."""
    with log.open('wb') as output:
        command = [str(ROS2), 'launch', PACKAGE, *arguments]
        popen = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    process = psutil.Process(popen.pid)
    try:
        yield process
        children = process.children(recursive=True)
        popen.send_signal(signal.SIGINT)
        assert popen.wait(PATIENCE_S) == 0, log.read_text()
        psutil.wait_procs(children, PATIENCE_S)
        assert not any(child.is_running() for child in children)
    finally:
        if popen.poll() is None:
            for child in process.children(recursive=True):
                child.kill()
            popen.kill()


def child_named(process: psutil.Process, name: str, other_than: int = 0) -> psutil.Process:
    """Wait for a node that a launch file starts, and return its process."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        for child in process.children(recursive=True):
            if child.pid != other_than and any(name in part for part in child.cmdline()):
                return child
        time.sleep(0.2)
    pytest.fail(f'{name} was not started within {PATIENCE_S:g} s')


def wait_until(command: str, verb: str, *arguments: str, says: str) -> None:
    """Repeat a command until its output contains a text."""
    until_s, said = time.monotonic() + PATIENCE_S, ''
    while time.monotonic() < until_s:
        said = asked(command, verb, *arguments)
        if says in said:
            return
    pytest.fail(f'{verb} does not say {says!r} within {PATIENCE_S:g} s, but {said}')


def test_run_finds_every_executable() -> None:
    listed = ros2('pkg', 'executables', PACKAGE).split()
    installed = {
        file.name for file in (Path(get_package_prefix(PACKAGE)) / 'lib' / PACKAGE).iterdir()
    }
    assert installed - {'planning_benchmark'} <= set(listed)
    assert 'usage' in ros2('run', PACKAGE, 'replay', '--help')


@pytest.mark.parametrize('file', sorted(path.name for path in (SHARE / 'launch').glob('*.py')))
def test_launch_describes_its_arguments(file: str) -> None:
    said = ros2('launch', PACKAGE, file, '--show-args')
    assert "'namespace'" in said


def test_a_launched_node_is_managed_and_comes_back(tmp_path: Path) -> None:
    given = {
        'namespace': 'cell',
        'node_name': 'people',
        'autostart': 'No',
        'use_sim_time': 'OFF',
        'fixed_frame': 'map',
        'log_level': 'debug',
    }
    arguments = [f'{name}:={value}' for name, value in given.items()]
    log = tmp_path / 'launch.log'
    with launched('predictor.launch.py', *arguments, log=log) as process:
        wait_until('lifecycle', 'get', says='unconfigured')
        wait_until('param', 'get', 'fixed_frame', says='map')
        wait_until('param', 'get', 'use_sim_time', says='False')
        for transition, state in (('configure', 'inactive [2]'), ('activate', 'active [3]')):
            asked('lifecycle', 'set', transition)
            wait_until('lifecycle', 'get', says=state)
        node = child_named(process, 'predictor')
        node.kill()
        child_named(process, 'predictor', other_than=node.pid)
        wait_until('lifecycle', 'get', says='unconfigured')
    assert '[DEBUG]' in log.read_text()


def test_a_replay_is_predicted_and_interrupted(tmp_path: Path) -> None:
    with launched('demo.launch.py', 'namespace:=cell', log=tmp_path / 'launch.log') as process:
        child_named(process, 'replay')
        topic = '/cell/predicted_motion', 'motion_predictor/msg/PredictedMotionArray'
        shown = ros2('topic', 'echo', '--no-daemon', '--once', '--field', 'model', *topic)
        assert 'default' in shown
