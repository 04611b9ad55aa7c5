"""Starts the separation monitor, which publishes a speed scale for a robot."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from motion_predictor.ros.common.spelling import is_yes


def start_monitor(context: LaunchContext) -> list[LifecycleNode]:
    """Start the separation monitor. Given launch arguments override the parameter file."""
    names = ('capsules_file', 'urdf_file')
    given = {name: context.launch_configurations[name] for name in names}
    topics = ('predicted_motion', 'joint_states', 'speed_scale')
    return [
        LifecycleNode(
            package='motion_predictor',
            executable='separation_monitor',
            name='separation_monitor',
            namespace=LaunchConfiguration('namespace'),
            output='screen',
            parameters=[
                LaunchConfiguration('parameter_file'),
                {n: ParameterValue(v, value_type=str) for n, v in given.items() if v},
            ],
            remappings=[(topic, LaunchConfiguration(topic)) for topic in topics],
            # Start the monitor again if it ends. Without the monitor, speed_scale is silent and
            # the robot must stand still.
            respawn=is_yes(context.launch_configurations['respawn']),
            respawn_delay=2.0,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the launch arguments, and start the separation monitor."""
    defaults = PathJoinSubstitution(
        [FindPackageShare('motion_predictor'), 'config', 'monitor.yaml']
    )
    arguments = {
        'capsules_file': ('', "YAML of the robot's capsules (default: the parameter file's)"),
        'urdf_file': ('', "URDF of the robot (default: the parameter file's)"),
        'parameter_file': (defaults, 'YAML of parameters'),
        'predicted_motion': ('predicted_motion', 'topic of the predictions'),
        'joint_states': ('joint_states', "topic of the robot's state"),
        'speed_scale': ('speed_scale', 'topic of the scale'),
        'namespace': ('', 'namespace of the node and its topics'),
        'respawn': ('true', 'start the node again when it ends by itself'),
    }
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in arguments.items()
            ),
            OpaqueFunction(function=start_monitor),
        ]
    )
