"""Starts the predictor, which reads skeletons and publishes predicted motion."""

from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from motion_predictor.ros.common.spelling import is_yes

RESPAWN_DELAY_S = 2.0
TEXTS = ('checkpoint', 'device', 'input_topic', 'input_type', 'fixed_frame')
SWITCHES = ('autostart', 'use_sim_time')


def start_predictor(context: LaunchContext) -> list[LifecycleNode]:
    """Start the predictor. Given launch arguments override the parameter file."""
    given = context.launch_configurations
    parameters: dict[str, Any] = {
        name: ParameterValue(given[name], value_type=str) for name in TEXTS if given[name]
    }
    parameters |= {name: is_yes(given[name]) for name in SWITCHES if given[name]}
    return [
        LifecycleNode(
            package='motion_predictor',
            executable='predictor',
            name=given['node_name'],
            namespace=given['namespace'],
            output='screen',
            parameters=[given['parameter_file'], parameters],
            arguments=['--ros-args', '--log-level', given['log_level']],
            # Start the predictor again if it ends. The new process configures and activates
            # itself.
            respawn=is_yes(given['respawn']),
            respawn_delay=RESPAWN_DELAY_S,
        )
    ]


def picture(context: LaunchContext) -> list[Node]:
    """Return the nodes that show the predictions in the browser or in RViz."""
    given = context.launch_configurations
    here: dict[str, Any] = {'namespace': given['namespace'], 'output': 'screen'}
    share = FindPackageShare('motion_predictor')
    nodes = []
    if is_yes(given['view']):
        nodes.append(Node(package='motion_predictor', executable='view', **here))
    if is_yes(given['rviz']):
        shown = ['-d', PathJoinSubstitution([share, 'config', 'motion_predictor.rviz'])]
        nodes.append(Node(package='motion_predictor', executable='markers', **here))
        nodes.append(Node(package='rviz2', executable='rviz2', arguments=shown, **here))
    return nodes


def generate_launch_description() -> LaunchDescription:
    """Declare the launch arguments, and start the predictor and the views."""
    defaults = PathJoinSubstitution(
        [FindPackageShare('motion_predictor'), 'config', 'predictor.yaml']
    )
    arguments = {
        'checkpoint': ('', '"default" or a .safetensors file (default: the parameter file\'s)'),
        'device': ('', "cpu, cuda, cuda:1 or auto (default: the parameter file's)"),
        'input_topic': ('', 'topic of the skeletons (default: where such a source publishes)'),
        'input_type': ('', 'what sends them (default: skeleton_array)'),
        'fixed_frame': ('', 'gravity-aligned frame to predict in (default: that of the input)'),
        'autostart': ('', 'false for a node that a lifecycle manager brings up (default: true)'),
        'use_sim_time': ('', 'true where a simulation or a recording tells the time'),
        'parameter_file': (defaults, 'YAML of parameters'),
        'namespace': ('', 'namespace of the node and its topics'),
        'node_name': ('predictor', 'name of the node'),
        'log_level': ('info', 'debug, info, warn, error or fatal'),
        'respawn': ('true', 'start the node again when it ends by itself'),
        'rviz': ('false', 'show the predictions in RViz'),
        'view': ('false', 'show the predictions in the browser (pip install viser)'),
    }
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in arguments.items()
            ),
            OpaqueFunction(function=start_predictor),
            OpaqueFunction(function=picture),
        ]
    )
