"""Installs the Python packages without ROS, for training servers: pip install.

With ROS the build is CMakeLists.txt's, which installs the same packages and adds the messages.
"""

from setuptools import find_packages, setup

ROOTS = {
    'motion_predictor': 'motion_predictor',
    'motion_predictor.config': 'config',
    'motion_predictor_training': 'training',
    'motion_predictor_benchmark': 'benchmark',
}


def packages_below(name, folder):
    return [name, *(f'{name}.{package}' for package in find_packages(folder))]


setup(
    package_dir=ROOTS,
    packages=[
        package for name, folder in ROOTS.items() for package in packages_below(name, folder)
    ],
    package_data={
        'motion_predictor': ['assets/*'],
        'motion_predictor.config': ['*.yaml', '*/*.yaml', '*/*/*.yaml', '*/*.urdf'],
    },
)
