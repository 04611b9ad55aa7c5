"""The parameters of the separation monitor."""

from motion_predictor.ros.common.parameter_table import Parameter

METRES, SECONDS = (0.0, 10.0), (0.0, 10.0)
PARAMETERS = (
    Parameter('autostart', True, 'Configure and activate the node as soon as it starts.'),
    Parameter('rate_hz', 50.0, 'How often the scale is computed and published.', 5.0, 200.0),
    Parameter(
        'capsules_file', '', "YAML of the robot's capsules, as config/demo_arm/capsules.yaml."
    ),
    Parameter(
        'urdf_file',
        '',
        'URDF of the robot, whose joints joint_states tells; empty where tf knows the frames that '
        'the capsules are on.',
    ),
    Parameter(
        'base_pose',
        [0.0] * 7,
        "How the robot's base lies in the frame of the predictions (x, y, z, qx, qy, qz, qw); all "
        'zero asks tf.',
    ),
    Parameter('limbs_file', '', "YAML of limbs, as config/flesh; empty takes the layout's own."),
    Parameter(
        'by_samples', True, 'Every sample counts; otherwise the mean, inflated by the radius.'
    ),
    Parameter(
        'robot_speed', 1.0, 'Metres per second of the fastest point at full speed.', 0.0, 10.0
    ),
    Parameter('reaction_s', 0.1, 'From what is published here to the first braking.', *SECONDS),
    Parameter('stop_s', 0.3, 'Time that the robot takes to stop from full speed.', *SECONDS),
    Parameter('stop_m', 0.15, 'Distance that it goes meanwhile.', *METRES),
    Parameter('reach_in_m', 0.0, 'Intrusion distance C.', *METRES),
    Parameter('uncertainty_m', 0.05, 'Uncertainty of both places, Z_d + Z_r.', *METRES),
    Parameter(
        'unpredicted_speed',
        1.6,
        'Metres per second at which people approach who are not predicted, for example because '
        'they were lost. ISO 13855 has 1.6.',
        *METRES,
    ),
    Parameter('rise_per_s', 0.5, 'How fast the scale may rise; it falls at once.', 0.01, 100.0),
    Parameter('hysteresis', 0.1, 'How much more must be allowed before it rises.', 0.0, 1.0),
    Parameter('hold_s', 0.3, 'And for how long.', *SECONDS),
    Parameter(
        'silent_after_s',
        0.12,
        'Silence of predictions, joint states or tf after which it is 0: more than three of their '
        'periods, which are 33 ms as trackers come.',
        0.02,
        10.0,
    ),
    Parameter('max_age_s', 0.2, 'Age of the newest observation after which it is 0.', 0.02, 10.0),
)
