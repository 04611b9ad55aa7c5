"""Starts the predictor and a replay of recorded motion."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = {
    'archive': ('bundled', '"bundled" or a motion archive (.npz)'),
    'rate': ('30.0', 'messages per second'),
    'people': ('1', 'people side by side'),
    'input_topic': ('skeletons', 'topic of the SkeletonArray messages'),
    'namespace': ('', 'namespace of the nodes and their topics'),
    'rviz': ('false', 'show the predictions in RViz'),
    'view': ('false', 'show the predictions in the browser (pip install viser)'),
}


def generate_launch_description() -> LaunchDescription:
    """Declare the launch arguments, and start the predictor and the replay."""
    share = FindPackageShare('motion_predictor')
    predictor = PathJoinSubstitution([share, 'launch', 'predictor.launch.py'])
    replay = Node(
        package='motion_predictor',
        executable='replay',
        namespace=LaunchConfiguration('namespace'),
        remappings=[('skeletons', LaunchConfiguration('input_topic'))],
        output='screen',
        arguments=[
            LaunchConfiguration('archive'),
            '--loop',
            ['--rate=', LaunchConfiguration('rate')],
            ['--people=', LaunchConfiguration('people')],
        ],
    )
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(predictor)),
            replay,
        ]
    )
