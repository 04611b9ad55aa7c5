"""The remains of nodes that are killed do not accumulate.

KILLS=100 make test ARGS='test/ros/node/test_killed.py -s'   prints what each kill left
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from motion_predictor.archive import MotionArchive
from motion_predictor.ros.node import segments
from motion_predictor.ros.node.segments import remove_segments_of_the_dead

KILLS = int(os.environ.get('KILLS', 2))
ARGUMENTS = ('--ros-args', '-p', 'samples:=2')


def segments_of(pid: int) -> set[str]:
    """Return the shared memory segments whose locks a process holds."""
    held = set()
    for link in Path(f'/proc/{pid}/fd').iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            held.add(os.readlink(link))
    names = (segments.LOCK.fullmatch(Path(path).name) for path in held)
    return {match[1] for match in names if match}


def cache_files() -> set[Path]:
    cache = Path(os.environ.get('XDG_CACHE_HOME', Path.home() / '.cache')) / 'motion_predictor'
    return set(cache.glob('*'))


def test_killed_nodes_leave_nothing_that_piles_up(
    planner: Any,
    start: Any,
    bundled: MotionArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    monkeypatch.setenv('TMPDIR', str(temporary))
    cached = cache_files()
    made: list[set[str]] = []

    def left() -> list[str]:
        return [n for names in made for n in names if (segments.SHARED_MEMORY / n).exists()]

    for kill in range(KILLS):
        process = start('predictor', *ARGUMENTS)
        # Messages of the killed node may still arrive.
        planner.wait_for(lambda p=process: segments_of(p.popen.pid), 'it shares memory')
        planner.received.clear()
        planner.wait_for(lambda: planner.received, 'it publishes')
        planner.stream({'someone': bundled.clip(0)}, seconds=0.3)
        made.append(segments_of(process.popen.pid))
        process.popen.kill()
        process.popen.wait()
        # Segments younger than ten seconds are spared, so make these look older.
        for name in made[-1]:
            os.utime(segments.SHARED_MEMORY / f'{name}_el', (0, 0))
        print(f'kill {kill + 1}: {len(left())} segments, {len(list(temporary.iterdir()))} files')
        assert len(left()) <= len(made[-1]), 'those of nodes before are gone'
    assert any(made), 'the node uses shared memory'
    start('predictor', *ARGUMENTS)
    planner.wait_for(lambda: not left(), 'it removes what the killed ones left')
    assert list(temporary.iterdir()) == []
    assert cache_files() == cached


def test_segments_of_the_living_and_the_young_stay(tmp_path: Path) -> None:
    old_s = time.time() - 60

    def segment(name: str, aged_s: float = old_s) -> Path:
        path = tmp_path / name
        path.write_bytes(b'x')
        (tmp_path / f'{name}_el').touch()
        os.utime(tmp_path / f'{name}_el', (aged_s, aged_s))
        return path

    dead, living = segment('fastdds_0123456789abcdef'), segment('fastrtps_0123456789abcdef')
    young = segment('fastdds_fedcba9876543210', time.time())
    other = segment('something_0123456789abcdef')
    with (tmp_path / f'{living.name}_el').open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert remove_segments_of_the_dead(tmp_path) == 1
    assert not dead.exists() and not (tmp_path / f'{dead.name}_el').exists()
    assert living.exists() and young.exists() and other.exists()
    assert remove_segments_of_the_dead(tmp_path / 'absent') == 0
