"""Installs the Python packages without ROS, for training servers: pip install.

With ROS the build is CMakeLists.txt's, which installs the same packages and adds the messages.
"""

import subprocess
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOTS = {
    'motion_predictor': 'motion_predictor',
    'motion_predictor.config': 'config',
    'motion_predictor_training': 'training',
    'motion_predictor_benchmark': 'benchmark',
}


def packages_below(name, folder):
    return [name, *(f'{name}.{package}' for package in find_packages(folder))]


class BuildWithCommit(build_py):
    """Notes the commit that is built, which provenance names, as CMakeLists.txt does."""

    def run(self):
        super().run()
        described = subprocess.run(
            ['git', 'describe', '--always', '--dirty', '--abbrev=40', '--exclude', '*'],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
        )
        if described.returncode == 0 and not self.editable_mode:
            note = Path(self.build_lib, 'motion_predictor', 'built_from.txt')
            note.write_text(described.stdout.strip())


setup(
    cmdclass={'build_py': BuildWithCommit},
    package_dir=ROOTS,
    packages=[
        package for name, folder in ROOTS.items() for package in packages_below(name, folder)
    ],
    package_data={
        'motion_predictor': ['assets/*'],
        'motion_predictor.config': ['*.yaml', '*/*.yaml', '*/*/*.yaml', '*/*.urdf'],
    },
)
