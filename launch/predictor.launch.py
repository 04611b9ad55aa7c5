"""Starts the predictor: skeletons in, predicted motion out."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

RESPAWN_DELAY_S = 2.0


def start_predictor(context: LaunchContext) -> list[LifecycleNode]:
    """Start the node; an argument that is given goes before the parameter file."""
    names = ('checkpoint', 'device', 'input_topic', 'input_type')
    given = {name: context.launch_configurations[name] for name in names}
    return [
        LifecycleNode(
            package='motion_predictor',
            executable='predictor',
            name='predictor',
            namespace=LaunchConfiguration('namespace'),
            output='screen',
            parameters=[
                LaunchConfiguration('parameter_file'),
                {n: ParameterValue(v, value_type=str) for n, v in given.items() if v},
            ],
            # A predictor that is gone is silence; it configures and activates itself again.
            respawn=context.launch_configurations['respawn'] == 'true',
            respawn_delay=RESPAWN_DELAY_S,
        )
    ]


def picture() -> list[Node]:
    """Return what shows the predictions, in the browser or in RViz."""
    share = FindPackageShare('motion_predictor')
    asked = IfCondition(LaunchConfiguration('rviz'))
    return [
        Node(
            package='motion_predictor',
            executable='view',
            namespace=LaunchConfiguration('namespace'),
            output='screen',
            condition=IfCondition(LaunchConfiguration('view')),
        ),
        Node(
            package='motion_predictor',
            executable='markers',
            namespace=LaunchConfiguration('namespace'),
            output='screen',
            condition=asked,
        ),
        Node(
            package='rviz2',
            executable='rviz2',
            namespace=LaunchConfiguration('namespace'),
            arguments=['-d', PathJoinSubstitution([share, 'config', 'motion_predictor.rviz'])],
            condition=asked,
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node with them."""
    defaults = PathJoinSubstitution(
        [FindPackageShare('motion_predictor'), 'config', 'predictor.yaml']
    )
    arguments = {
        'checkpoint': ('', '"default" or a .safetensors file (default: the parameter file\'s)'),
        'device': ('', "cpu, cuda, cuda:1 or auto (default: the parameter file's)"),
        'input_topic': ('', 'topic of the skeletons (default: where such a source publishes)'),
        'input_type': ('', 'what sends them (default: skeleton_array)'),
        'parameter_file': (defaults, 'YAML of parameters'),
        'namespace': ('', 'namespace of the node and its topics'),
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
            *picture(),
        ]
    )
