"""The planners in examples/, with the real predictor over DDS."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ament_index_python.packages import get_packages_with_prefixes

from motion_predictor.archive import MotionArchive

EXAMPLES = Path(__file__).parents[3] / 'examples'
STAND_IN = Path(__file__).parents[2] / 'planning' / 'rclcpp_stand_in'


@pytest.fixture(scope='module')
def cpp_planner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ example as an executable, which uses a stand-in where there is no rclcpp."""
    if not shutil.which('cmake'):
        pytest.skip('there is no cmake')
    folder = tmp_path_factory.mktemp('example')
    given = [] if 'rclcpp' in get_packages_with_prefixes() else [f'-Drclcpp_DIR={STAND_IN}']
    subprocess.run(['cmake', '-S', EXAMPLES / 'cpp', '-B', folder, *given], check=True)
    subprocess.run(['cmake', '--build', folder], check=True)
    return folder / 'planner'


def environment(language: str) -> dict[str, str]:
    """Return the environment of an example. In C++, rcl from PyPI needs Python's library."""
    if language == 'python' or 'rclcpp' in get_packages_with_prefixes():
        return dict(os.environ)
    library = Path(sysconfig.get_config_var('LIBDIR')) / sysconfig.get_config_var('LDLIBRARY')
    if library.suffix == '.a':
        pytest.skip('there is no rclcpp, and this Python has no shared library')
    return os.environ | {'LD_PRELOAD': str(library)}


@pytest.mark.parametrize('language', ['python', 'cpp'])
def test_an_example_tells_blind_from_nobody_and_slows_down(
    planner: Any,
    start: Any,
    bundled: MotionArchive,
    cpp_planner: Path,
    tmp_path: Path,
    language: str,
) -> None:
    program = cpp_planner if language == 'cpp' else EXAMPLES / 'python' / 'planner.py'
    predictor = start('predictor', '--ros-args', '-p', 'samples:=8', '-p', 'backend:=eager')
    log = (tmp_path / 'example.log').open('w+b')
    example = subprocess.Popen(
        [program], stdout=log, stderr=subprocess.STDOUT, env=environment(language)
    )

    def said(what: str) -> bool:
        lines = (tmp_path / 'example.log').read_text().splitlines()
        return any(what in line for line in lines[-3:])

    try:
        planner.wait_for(lambda: said('blind, '), 'it is blind at first')
        planner.wait_for(lambda: planner.received, 'the predictor runs')

        def nobody() -> bool:
            planner.publish(planner.message({}))
            return said('speed 1.00: nobody is there')

        planner.wait_for(nobody, 'it knows that nobody is there')
        clip = bundled.clip(0)
        clip = clip - clip[:1, :1] * [1, 1, 0] + [0.9, 0, 0]
        # Play the clip forth and back. If the person jumped from its end to its beginning, the
        # predictor would count an unlisted person.
        clip = np.concatenate([clip[:60], clip[59::-1]])

        def slower() -> bool:
            planner.stream(
                {'guest': clip},
                seconds=0.5,
                start=int(planner.get_clock().now().nanoseconds / 1e9 * 60) % len(clip),
            )
            return said('of guest is ')

        planner.wait_for(slower, 'it measures the distance of the guest')
        predictor.popen.kill()
        planner.wait_for(lambda: said('blind, '), 'it is blind again')
        assert example.poll() is None
    finally:
        example.terminate()
        example.wait(10)
        log.close()


@pytest.mark.parametrize('name', ['cpp/planner.cpp', 'python/planner.py'])
def test_an_example_is_short(name: str) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) < 60
