"""The parameters of the separation monitor, with their defaults, ranges and meanings."""

from motion_predictor.ros.common.parameter_table import Parameter

METRES, SECONDS = (0.0, 10.0), (0.0, 10.0)
PARAMETERS = (
    Parameter('autostart', True, 'Configure and activate the node as soon as it starts.'),
    Parameter(
        'rate_hz', 50.0, 'How many times a second the scale is computed and published.', 5.0, 200.0
    ),
    Parameter(
        'capsules_file', '', "YAML of the robot's capsules, like config/demo_arm/capsules.yaml."
    ),
    Parameter(
        'urdf_file',
        '',
        'URDF of the robot, for its joints in joint_states. Empty: tf has the frames that '
        'the capsules are on.',
    ),
    Parameter(
        'base_pose',
        [0.0] * 7,
        "Pose of the robot's base in the frame of the predictions (x, y, z, qx, qy, qz, "
        'qw). All zeros: the pose is read from tf.',
    ),
    Parameter(
        'limbs_file',
        '',
        'YAML of limbs, like those in config/flesh. Empty: the limbs of the layout.',
    ),
    Parameter(
        'by_samples',
        True,
        'True: distances to every sample. False: distances to the mean, inflated by the radius.',
    ),
    Parameter(
        'robot_speed', 1.0, "Speed of the robot's fastest point at full speed, in m/s.", 0.0, 10.0
    ),
    Parameter(
        'reaction_s',
        0.1,
        'Time from the published scale until the robot begins to brake, in seconds.',
        *SECONDS,
    ),
    Parameter(
        'stop_s', 0.3, 'Time that the robot takes to stop from full speed, in seconds.', *SECONDS
    ),
    Parameter('stop_m', 0.15, 'Distance that the robot moves while it stops, in metres.', *METRES),
    Parameter('reach_in_m', 0.0, 'Intrusion distance C of ISO 13855, in metres.', *METRES),
    Parameter(
        'uncertainty_m',
        0.05,
        'Uncertainty of the places of people and robot (Z_d + Z_r of ISO/TS 15066), in metres.',
        *METRES,
    ),
    Parameter(
        'unpredicted_speed',
        1.6,
        'Speed at which people are assumed to approach who are not predicted, for example '
        'because they were lost, in m/s. ISO 13855 has 1.6.',
        *METRES,
    ),
    Parameter(
        'rise_per_s', 0.5, 'Greatest rise of the scale in a second. It falls at once.', 0.01, 100.0
    ),
    Parameter(
        'hysteresis',
        0.1,
        'The scale rises only where more is allowed, by at least this much.',
        0.0,
        1.0,
    ),
    Parameter(
        'hold_s',
        0.3,
        'The scale rises only after more has been allowed for this long, in seconds.',
        *SECONDS,
    ),
    Parameter(
        'silent_after_s',
        0.12,
        'Silence of predictions, joint states or tf after which the scale is 0, in '
        'seconds. It must exceed three of their periods, which are 33 ms for most '
        'trackers.',
        0.02,
        10.0,
    ),
    Parameter(
        'max_age_s',
        0.2,
        'Age of the newest observation after which the scale is 0, in seconds.',
        0.02,
        10.0,
    ),
)
