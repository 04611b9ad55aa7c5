"""The predictor's parameters: names, defaults, ranges and meanings."""

from motion_predictor.ros.common.parameter_table import Parameter
from motion_predictor.sources.point_cloud import FIELDS

FRAME_TIMES_S = (
    *(0.017, 0.033, 0.067, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
    *(0.6, 0.7, 0.8, 0.95, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0),
)
"""Denser where a robot still has to decide, and where between two frames a hand goes far."""
PARAMETERS = (
    Parameter('autostart', True, 'Configure and activate the node as soon as it starts.'),
    Parameter('checkpoint', 'default', 'The predictor: "default", or a .safetensors file.'),
    Parameter('device', 'auto', 'Where it runs: "cpu", "cuda", "cuda:1", or "auto".'),
    Parameter(
        'backend',
        'auto',
        'How the network runs: "eager", "compiled", "cuda_graph", "tensorrt", or "auto", the '
        'fastest of them that is there and agrees with eager.',
    ),
    Parameter(
        'threads',
        1,
        'CPU threads of the network. More are faster while cores are idle and far slower when '
        'they are not, since all wait for the last at every layer.',
        1,
        256,
    ),
    Parameter(
        'realtime_priority',
        10,
        'Real-time priority (SCHED_FIFO) of the thread that predicts, where the system allows it: '
        'what else the machine does then hardly delays it. 0 leaves it to ordinary scheduling.',
        0,
        99,
    ),
    Parameter('samples', 50, 'Possible futures per person.', 1, 1000, live=True),
    Parameter(
        'coverage',
        0.95,
        'Probability with which a radius holds its joint, and all radii times body_radius_scale '
        'the whole body: one of those that the checkpoint is calibrated for (0.9, 0.95, 0.99, '
        '0.999, as far as its calibration data carries them).',
        0.5,
        0.9999,
    ),
    Parameter(
        'min_familiarity',
        0.003,
        'Share of half seconds of people whom the calibration did not know that were as strange '
        'as what is observed (a p-value). Below it a radius is what can be reached at the speeds '
        'of ISO 13855, not what was learnt; 0 never is.',
        0.0,
        0.5,
        live=True,
    ),
    Parameter(
        'self_correction',
        'widen',
        'Radii follow how often they held each person: "widen" never makes one narrower than '
        'calibrated, "both" does, "off" leaves them alone.',
        live=True,
    ),
    Parameter(
        'resample_noise',
        False,
        'Draw new noise for every prediction; otherwise sample s stays the same kind of future.',
    ),
    Parameter(
        'publish_samples', True, 'Publish the samples, not only their mean and radius.', live=True
    ),
    Parameter(
        'frame_times',
        list(FRAME_TIMES_S),
        'Publish the future frames nearest to these times, in seconds after the observation.',
        live=True,
    ),
    Parameter(
        'frame_stride',
        0,
        'Publish every n-th future frame, 1 for all; 0 publishes those of frame_times.',
        0,
        1000,
        live=True,
    ),
    Parameter(
        'input_type',
        'skeleton_array',
        'What sends the skeletons: skeleton_array, azure_kinect, zed, pose_array, point_cloud, '
        'mocap4r2 or ros4hri.',
    ),
    Parameter('input_topic', '', 'Topic to listen to; empty is where such a source publishes.'),
    Parameter(
        'input_layout',
        '',
        'Layout of the joints of a pose_array, a point_cloud or mocap4r2 (empty there: smpl22).',
    ),
    Parameter(
        'joint_names',
        [''],
        'Joints of a pose_array or a point_cloud, in order, if they are no whole layout.',
    ),
    Parameter(
        'point_fields',
        list(FIELDS),
        'Fields of a point_cloud for x, y, z, joint, person and, if it is there, confidence.',
    ),
    Parameter('marker_separator', ':', 'Stands between person and joint in names of mocap4r2.'),
    Parameter('tf_rate_hz', 30.0, 'How often the frames of ros4hri are read.', 1.0, 200.0),
    Parameter(
        'fixed_frame',
        '',
        'Frame to predict in: at rest, gravity-aligned, z up. Other input is transformed to it: '
        '"odom" or "map" on a robot that moves. Empty takes the frame of the input.',
    ),
    Parameter(
        'input_transform',
        [0.0] * 7,
        "How the input's frame lies in fixed_frame (x, y, z, qx, qy, qz, qw), if that never "
        'changes; all zero asks tf.',
    ),
    Parameter('layout_folder', '', 'Folder of further skeleton layouts (*.yaml).'),
    Parameter(
        'min_confidence',
        0.0,
        'Joints that the tracker is less sure of count as missing.',
        0.0,
        1.0,
        live=True,
    ),
    Parameter(
        'min_observed_fraction',
        0.5,
        'A person of whom less was observed over the history is not predicted.',
        0.0,
        1.0,
        live=True,
    ),
    Parameter(
        'max_people',
        8,
        'People predicted at most, those nearest to the robot; more are listed as TOO_MANY.',
        1,
        100,
        live=True,
    ),
    Parameter(
        'robot_position',
        [0.0, 0.0, 0.0],
        'Where the robot stands, x, y, z in metres in the frame of the skeletons.',
        live=True,
    ),
    Parameter(
        'robot_frame',
        '',
        "The robot's frame in tf, as base_link: it is asked where the robot stands, again and "
        'again, instead of robot_position.',
    ),
    Parameter(
        'max_speed',
        4.0,
        'Metres per second that no person exceeds: an id that jumps farther restarts its history.',
        0.1,
        50.0,
        live=True,
    ),
    Parameter(
        'reassociate_s',
        0.3,
        'For so long, a person who was lost goes on under a new id that appears at their place '
        'with nobody else near; 0 never does. max_gap_s is the limit of it.',
        0.0,
        10.0,
        live=True,
    ),
    Parameter(
        'frozen_after_s',
        1.0,
        'Somebody whose positions are the same for so long, bit by bit, is frozen: STALE_INPUT. '
        '0 for sources without noise, where people may stand still.',
        0.0,
        60.0,
        live=True,
    ),
    Parameter(
        'max_gap_s',
        0.3,
        "A longer gap between frames restarts a person's history.",
        0.01,
        10.0,
        live=True,
    ),
    Parameter(
        'forget_after_s',
        1.0,
        'A person who is no longer reported is listed as STALE_INPUT for so long; whoever was '
        'refused, unreadable or cleared may be there, unlisted, for so long. Only then is an '
        'empty list OK.',
        0.0,
        60.0,
        live=True,
    ),
    Parameter(
        'stale_after_s',
        0.3,
        'Silence of the source after which STALE_INPUT is published.',
        0.05,
        60.0,
        live=True,
    ),
    Parameter(
        'max_age_s',
        0.5,
        'Observations captured longer ago than this are STALE_INPUT.',
        0.01,
        60.0,
        live=True,
    ),
    Parameter(
        'max_ahead_s',
        0.1,
        'Messages stamped further in the future than this are rejected.',
        0.0,
        60.0,
        live=True,
    ),
    Parameter(
        'latency_budget_ms',
        20.0,
        'Time from a message until its prediction is read. Where all samples take longer at p99, '
        'fewer are drawn. What is predicted later is DEGRADED, what is published later counted in '
        'diagnostics.',
        1.0,
        10000.0,
        live=True,
    ),
    Parameter('diagnostics_period_s', 1.0, 'Time between diagnostics.', 0.1, 60.0, live=True),
)
