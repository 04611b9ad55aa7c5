"""The launch files; skipped if launch is not installed."""

import importlib.util
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_share_directory

pytest.importorskip('launch_ros', reason='launch is part of a ROS 2 installation, not on PyPI')

SHARE = Path(get_package_share_directory('motion_predictor'))


@pytest.mark.parametrize('name', ['predictor', 'demo', 'monitor'])
def test_launch_file_starts_its_nodes(name: str) -> None:
    from launch import LaunchService
    from launch.actions import EmitEvent, OpaqueFunction, RegisterEventHandler, TimerAction
    from launch.event_handlers import OnProcessExit, OnProcessStart
    from launch.events import Shutdown

    path = SHARE / 'launch' / f'{name}.launch.py'
    spec = importlib.util.spec_from_file_location(f'{name}_launch', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    started: list[str] = []
    ended: list[str] = []
    description = module.generate_launch_description()
    description.add_action(
        RegisterEventHandler(
            OnProcessStart(on_start=lambda event, _: started.append(event.process_name))
        )
    )
    description.add_action(
        RegisterEventHandler(
            OnProcessExit(on_exit=lambda event, _: ended.append(event.process_name))
        )
    )
    survivors: list[str] = []
    description.add_action(
        TimerAction(
            period=15.0,
            actions=[
                OpaqueFunction(function=lambda _: survivors.extend(set(started) - set(ended))),
                EmitEvent(event=Shutdown()),
            ],
        )
    )
    service = LaunchService()
    service.include_launch_description(description)
    assert service.run() == 0
    nodes = 'separation_monitor' if name == 'monitor' else 'predictor'
    assert any(nodes in process for process in survivors)
    assert (name == 'demo') == any('replay' in process for process in survivors)
