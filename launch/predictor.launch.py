"""Starts the predictor: skeletons in, predicted motion out."""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


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
        )
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
    }
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in arguments.items()
            ),
            OpaqueFunction(function=start_predictor),
        ]
    )
