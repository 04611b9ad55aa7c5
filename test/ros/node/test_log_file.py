"""The log of ROS stays small, however long a node runs."""

from pathlib import Path

import pytest
from rclpy.node import Node

from motion_predictor.ros.node import log_file
from motion_predictor.ros.node.log_file import keep_log_small, own_log_file


def test_the_log_is_moved_aside_and_goes_on(node: Node) -> None:
    node.get_logger().error('before')
    path = own_log_file()
    assert path is not None
    keep_log_small()
    assert 'before' in path.read_text(), 'small enough'
    keep_log_small(most_bytes=1)
    assert path.stat().st_size == 0
    moved = Path(f'{path}.1')
    assert 'before' in moved.read_text()
    node.get_logger().error('after')
    assert path.read_text().endswith('after\n')
    assert '\0' not in path.read_text()
    moved.unlink()


def test_a_full_disk_costs_the_log_and_not_the_node(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(b'part of it')
        raise OSError(28, 'No space left on device')

    node.get_logger().error('before')
    path = own_log_file()
    assert path is not None
    monkeypatch.setattr(log_file.shutil, 'copyfile', full)
    keep_log_small(most_bytes=1)
    assert path.stat().st_size == 0
    assert not Path(f'{path}.1').exists()
