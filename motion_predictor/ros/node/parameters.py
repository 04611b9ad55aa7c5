"""The parameters of the predictor, with their names, defaults, ranges and meanings."""

from motion_predictor.ros.common.parameter_table import Parameter
from motion_predictor.sources.point_cloud import FIELDS

FRAME_TIMES_S = (
    *(0.017, 0.033, 0.067, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
    *(0.6, 0.7, 0.8, 0.95, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0),
)
"""Published times: close together where they matter for a robot's next decision, wider apart
later."""
PARAMETERS = (
    Parameter('autostart', True, 'Configure and activate the node as soon as it starts.'),
    Parameter(
        'untested_middleware',
        False,
        'Run with any middleware. Only Fast DDS was tested, so the node refuses others '
        'unless this is true.',
    ),
    Parameter('checkpoint', 'default', 'The predictor: "default", or a .safetensors file.'),
    Parameter(
        'device',
        'auto',
        'Device of the network: "cpu", "cuda", "cuda:1", or "auto" for a GPU if there is one.',
    ),
    Parameter(
        'backend',
        'auto',
        'How the network runs: "eager", "compiled", "cuda_graph", "tensorrt", or "auto" '
        'for the fastest that is available and agrees with eager. An engine that must '
        'first be made is made in the background and used when it is ready.',
    ),
    Parameter(
        'threads',
        1,
        'CPU threads of the network. More threads are faster on idle cores and much '
        'slower on busy ones.',
        1,
        256,
    ),
    Parameter(
        'realtime_priority',
        10,
        'Real-time priority (SCHED_FIFO) of the thread that predicts, where the system allows it. '
        'Other processes then hardly delay it. 0 uses ordinary scheduling.',
        0,
        99,
    ),
    Parameter('samples', 50, 'Possible futures per person.', 1, 1000, live=True),
    Parameter(
        'coverage',
        0.95,
        'Probability with which a radius holds its joint. All radii times body_radius_scale hold '
        'the whole body with the same probability. It must be one that the checkpoint is '
        'calibrated for: of 0.9, 0.95, 0.99 and 0.999, those that its calibration data supports.',
        0.5,
        0.9999,
    ),
    Parameter(
        'min_familiarity',
        0.003,
        'Least familiarity (a p-value) of observed motion for which the calibrated radii '
        'are used. Below it a radius covers what can be reached at the speeds of ISO '
        '13855. 0: always the calibrated radii.',
        0.0,
        0.5,
        live=True,
    ),
    Parameter(
        'self_correction',
        'widen',
        'Whether radii are corrected by how often they held each person: "widen" corrects to '
        'wider ones only, "both" to narrower ones too, "none" uses them as calibrated.',
        live=True,
    ),
    Parameter(
        'resample_noise',
        False,
        'Draw new noise for every prediction. If false, sample s shows the same kind of '
        'future each time.',
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
        'Publish every n-th future frame; 1 for all. 0: the frames of frame_times.',
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
    Parameter('input_topic', '', 'Topic of the skeletons. Empty: the usual topic of input_type.'),
    Parameter(
        'input_layout',
        '',
        'Layout of the joints of a pose_array, a point_cloud or mocap4r2. Empty: smpl22 '
        'for mocap4r2.',
    ),
    Parameter(
        'joint_names',
        [''],
        'Joints of a pose_array or a point_cloud, in order, if they are not those of a layout.',
    ),
    Parameter(
        'point_fields',
        list(FIELDS),
        'Fields of a point_cloud for x, y, z, joint, person and, optionally, confidence.',
    ),
    Parameter('marker_separator', ':', 'Separates person and joint in marker names (mocap4r2).'),
    Parameter(
        'tf_rate_hz', 30.0, 'How many times a second the frames of ros4hri are read.', 1.0, 200.0
    ),
    Parameter(
        'fixed_frame',
        '',
        'Frame to predict in: at rest, z up against gravity. On a robot that moves this '
        'is "odom" or "map". Other input is transformed to it. Empty: the frame of the '
        'input.',
    ),
    Parameter(
        'input_transform',
        [0.0] * 7,
        "Constant pose of the input's frame in fixed_frame (x, y, z, qx, qy, qz, qw). All "
        'zeros: the pose is read from tf.',
    ),
    Parameter('layout_folder', '', 'Folder of further skeleton layouts (*.yaml).'),
    Parameter(
        'min_confidence',
        0.0,
        'Joints whose confidence is lower count as missing.',
        0.0,
        1.0,
        live=True,
    ),
    Parameter(
        'min_observed_fraction',
        0.5,
        'Share of the history that must have been observed of a person who is predicted.',
        0.0,
        1.0,
        live=True,
    ),
    Parameter(
        'max_people',
        8,
        'Greatest number of people predicted: those nearest to the robot. Others are TOO_MANY.',
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
        "The robot's frame in tf, such as base_link. Its position there is used instead of "
        'robot_position and followed as the robot moves.',
    ),
    Parameter(
        'max_speed',
        4.0,
        'Greatest speed of a person, metres per second. An id that jumps farther restarts its '
        'history.',
        0.1,
        50.0,
        live=True,
    ),
    Parameter(
        'reassociate_s',
        0.3,
        'Time after losing a person in which a new id at their place, with nobody else '
        'near, continues their history. At most max_gap_s; 0: never.',
        0.0,
        10.0,
        live=True,
    ),
    Parameter(
        'frozen_after_s',
        1.0,
        'A person whose positions stay identical, bit by bit, for this long is STALE_INPUT: the '
        'source is frozen. Set 0 for sources without noise, where people may stand still.',
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
        'How long a person who is no longer reported is listed as STALE_INPUT. People who could '
        'not be read or were refused count as unlisted for as long. An empty list is OK only '
        'after that.',
        0.0,
        60.0,
        live=True,
    ),
    Parameter(
        'stale_after_s',
        0.3,
        'Silence of the source after which STALE_INPUT is published, seconds.',
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
        'Time from a message until its prediction is read. Fewer samples are drawn where all of '
        'them take longer at p99. A prediction made later is DEGRADED; one published later is '
        'counted in the diagnostics.',
        1.0,
        10000.0,
        live=True,
    ),
    Parameter('diagnostics_period_s', 1.0, 'Time between diagnostics.', 0.1, 60.0, live=True),
)
