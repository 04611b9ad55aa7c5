"""A program that starts others ends quietly on a signal, and ends the programs that it started."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import sys, time
import rclpy
from motion_predictor.ros.common.processes import end_on_sigterm, running

sys.argv[0] = '{folder}/program'
end_on_sigterm()
rclpy.init()
try:
    with running('child') as child:
        print(child.pid, flush=True)
        while True:
            time.sleep(0.1)
except KeyboardInterrupt:
    print('interrupted', flush=True)
"""
CHILD = f"""#!{sys.executable}
import time
while True:
    time.sleep(0.1)
"""
INTERRUPTED = """
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


@pytest.mark.parametrize('ends', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_program_and_what_it_started(tmp_path: Path, ends: signal.Signals) -> None:
    child = tmp_path / 'child'
    child.write_text(CHILD)
    child.chmod(0o755)
    program = [sys.executable, '-c', PROGRAM.format(folder=tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = psutil.Process(int(process.stdout.readline()))
        process.send_signal(ends)
        try:
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        assert (said, process.returncode) == ('interrupted\n', 0)
        assert not started.is_running()


def test_an_interrupt_during_a_callback_ends_without_a_traceback() -> None:
    done = subprocess.run([sys.executable, '-c', INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')
