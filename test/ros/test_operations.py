"""Features for operators: markers for RViz, the security policy, QoS, shared memory."""

import re
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from ament_index_python.packages import get_package_share_directory
from rclpy.qos import ReliabilityPolicy
from visualization_msgs.msg import Marker, MarkerArray

from motion_predictor.archive import MotionArchive
from motion_predictor.msg import PredictedMotion, PredictedMotionArray
from motion_predictor.ros.consumers.markers import markers_of
from motion_predictor.ros.node.outputs import flat
from motion_predictor.skeleton import known_layouts

PATIENCE_S = 40.0
CONFIG = Path(get_package_share_directory('motion_predictor')) / 'config'
SMPL = known_layouts()['smpl22']


def prediction(samples: int = 3, radius_m: float = 0.2) -> PredictedMotionArray:
    """Return a message in which a person moves along x by 1 m in 2 s."""
    frames, joints = 20, len(SMPL.joints)
    mean = np.zeros((frames, joints, 3), np.float32)
    mean[..., 0] = np.linspace(0.05, 1, frames)[:, None]
    mean[..., 2] = np.arange(joints) / 10
    person = PredictedMotion(id='someone', mean=flat(mean))
    if samples:
        person.samples = flat(np.repeat(mean[None], samples, 0))
    person.radius = flat(np.full((frames, joints), radius_m, np.float32))
    message = PredictedMotionArray(num_frames=frames, num_joints=joints, num_samples=samples)
    message.times = flat(np.arange(1, frames + 1, dtype=np.float32) / 10)
    message.header.frame_id = 'map'
    message.parents = list(SMPL.parents)
    message.motions = [person]
    return message


def by_namespace(markers: MarkerArray) -> dict[str, list[Marker]]:
    first, *rest = markers.markers
    assert first.action == Marker.DELETEALL, 'what was shown before is removed'
    found: dict[str, list[Marker]] = {}
    for marker in rest:
        assert marker.header.frame_id == 'map'
        found.setdefault(marker.ns, []).append(marker)
    assert len({marker.id for marker in rest}) == len(rest)
    return found


def test_markers_show_body_future_radius_and_samples() -> None:
    found = by_namespace(markers_of(prediction()))
    assert set(found) == {'body', 'future', 'radius', 'samples'}
    bones = len(SMPL.joints) - 1
    assert [len(marker.points) for marker in found['future']] == 4 * [2 * bones]
    reached = [marker.points[0].x for marker in found['future']]
    np.testing.assert_allclose(reached, [0.25, 0.5, 0.75, 1.0], atol=1e-6)
    fading = [marker.color.a for marker in found['future']]
    assert fading == sorted(fading, reverse=True) and fading[-1] > 0
    outermost = sum(j not in SMPL.parents for j in range(len(SMPL.joints)))
    assert len(found['radius']) == 4 * (1 + outermost)
    assert found['radius'][0].scale.x == pytest.approx(0.4), 'a diameter'


def test_markers_leave_out_what_is_not_known() -> None:
    found = by_namespace(markers_of(prediction(samples=0, radius_m=np.nan)))
    assert set(found) == {'body', 'future'}


def test_markers_say_who_is_not_predicted() -> None:
    message = prediction()
    message.status = PredictedMotionArray.STALE_INPUT
    message.unlisted = 2
    lost = PredictedMotion(id='lost', status=PredictedMotionArray.STALE_INPUT, reach=1.5)
    lost.place = np.float32([1, 2, 3])
    message.motions.append(lost)
    found = by_namespace(markers_of(message))
    (text,), (ball,) = found['status'], found['reach']
    assert text.text == 'STALE_INPUT\nlost: STALE_INPUT\n2 more may be there'
    assert (ball.pose.position.y, ball.scale.x) == (2, 3)


def test_the_markers_node_draws_what_the_predictor_says(
    planner: Any, start: Any, bundled: MotionArchive
) -> None:
    start('predictor', '--ros-args', '-p', 'samples:=4')
    start('markers')
    drawn: list[MarkerArray] = []
    planner.create_subscription(MarkerArray, 'predicted_motion_markers', drawn.append, 1)
    planner.wait_for_node('motion_markers')
    planner.wait_for(lambda: planner.received, 'the predictor publishes')
    planner.stream({'someone': bundled.clip(0)}, seconds=1.5)
    planner.wait_for(lambda: any(m.ns == 'body' for d in drawn for m in d.markers), 'a body')


def test_the_rviz_file_shows_every_namespace() -> None:
    content = yaml.safe_load((CONFIG / 'motion_predictor.rviz').read_text())
    (display,) = (
        display
        for display in content['Visualization Manager']['Displays']
        if display['Class'] == 'rviz_default_plugins/MarkerArray'
    )
    assert display['Topic']['Value'] == 'predicted_motion_markers'
    assert set(display['Namespaces']) == {'body', 'future', 'radius', 'samples', 'reach', 'status'}


ARM = CONFIG / 'demo_arm'


@pytest.mark.parametrize(
    ('executable', 'name', 'parameters'),
    [
        ('predictor', 'predictor', ['samples:=2']),
        (
            'separation_monitor',
            'separation_monitor',
            [f'capsules_file:={ARM}/capsules.yaml', f'urdf_file:={ARM}/arm.urdf'],
        ),
        ('bridge', 'motion_bridge', ['pose_array:=true', 'point_cloud:=true']),
    ],
)
def test_the_security_policy_allows_what_a_node_uses(
    planner: Any, start: Any, executable: str, name: str, parameters: list[str]
) -> None:
    """The policy allows no more, since that is a security hole, and no less, or the node fails."""
    given = ['use_sim_time:=true', *parameters]
    start(executable, '--ros-args', *(part for value in given for part in ('-p', value)))
    planner.wait_for_node(name)
    profiles = ElementTree.parse(CONFIG / 'sros2_policy.xml').iter('profile')
    (profile,) = (p for p in profiles if p.get('node') == name)

    def allowed(kind: str, permission: str) -> set[str]:
        names = {
            str(entry.text)
            for section in profile.iter(kind)
            if section.get(permission) == 'ALLOW'
            for entry in section
        }
        return {'/' + n.replace('~', name).removeprefix('/') for n in names}

    used = {
        'topics publish': planner.get_publisher_names_and_types_by_node,
        'topics subscribe': planner.get_subscriber_names_and_types_by_node,
        'services reply': planner.get_service_names_and_types_by_node,
    }
    differ: dict[str, set[str]] = {}

    def are_the_same() -> bool:
        differ.clear()
        for entry, ask in used.items():
            differ[entry] = allowed(*entry.split()) ^ {used for used, _ in ask(name, '/')}
        return not any(differ.values())

    until_s = time.monotonic() + PATIENCE_S
    while not are_the_same() and time.monotonic() < until_s:
        planner.spin(0.1)
    assert not any(differ.values()), differ


def test_quality_of_service_can_be_overridden(planner: Any, start: Any) -> None:
    output = 'qos_overrides./predicted_motion.publisher.reliability:=best_effort'
    source = 'qos_overrides./skeletons.subscription.reliability:=reliable'
    start('predictor', '--ros-args', '-p', 'samples:=2', '-p', output, '-p', source)
    planner.wait_for_node()
    planner.wait_for(lambda: planner.state() == 'active', 'it is active')
    (published,) = planner.get_publishers_info_by_topic('predicted_motion')
    assert published.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    (subscribed,) = planner.get_subscriptions_info_by_topic('skeletons')
    assert subscribed.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    planner.wait_for(  # the planner publishes skeletons as best effort
        lambda: any(
            'publishers with another type or QoS: 1' in d.status[0].message
            for d in planner.diagnostics
        ),
        'diagnostics say why nothing comes',
    )


def largest_segment(process: Any) -> int:
    """Return the size in bytes of the largest shared memory segment of a process."""
    maps = Path(f'/proc/{process.popen.pid}/maps').read_text()
    made = re.compile('fast(dds|rtps)_')  # the names in Fast DDS 3 and in Fast DDS 2
    paths = {Path('/' + line.split(' /')[-1]) for line in maps.splitlines() if made.search(line)}
    return max((path.stat().st_size for path in paths if path.exists()), default=0)


@pytest.mark.skipif(
    rclpy.get_rmw_implementation_identifier() != 'rmw_fastrtps_cpp', reason='not Fast DDS'
)
def test_a_whole_prediction_fits_the_shared_memory(
    planner: Any, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prediction in fragments would arrive 20 ms later. A user's own settings replace ours."""
    numbers = len(SMPL.joints) * 120 * (50 * 3 + 3 + 1)
    process = start('predictor', '--ros-args', '-p', 'samples:=2')
    planner.wait_for_node()
    assert largest_segment(process) > 2 * 4 * numbers, 'one is read while the next is written'
    process.stop()
    planner.wait_for(lambda: 'predictor' not in planner.get_node_names(), 'it is gone')
    monkeypatch.setenv('FASTDDS_BUILTIN_TRANSPORTS', 'UDPv4')
    process = start('predictor', '--ros-args', '-p', 'samples:=2')
    planner.wait_for_node()
    assert largest_segment(process) < 4 * numbers
