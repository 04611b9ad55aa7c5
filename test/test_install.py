"""An installation holds all files that the package needs."""

import os
import subprocess
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

import pytest

import motion_predictor
import motion_predictor_benchmark
import motion_predictor_training
from motion_predictor.common.installed import command_of


@pytest.mark.parametrize(
    'package', [motion_predictor, motion_predictor_training, motion_predictor_benchmark]
)
def test_no_start_has_to_compile_python(package: ModuleType) -> None:
    sources = [path for folder in package.__path__ for path in Path(folder).rglob('*.py')]
    assert sources
    assert not [path for path in sources if not Path(cache_from_source(path)).is_file()]


def test_a_module_runs_from_where_it_is_installed(tmp_path: Path) -> None:
    sources = tmp_path / 'motion_predictor'
    sources.mkdir()
    (sources / '__init__.py').write_text('raise SystemExit("these are not the installed files")')
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONSAFEPATH'}
    command = command_of('motion_predictor.common.status')
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')


def test_the_environment_knows_the_commands_by_their_short_names() -> None:
    root = Path(__file__).parents[1]
    if not (root / '.venv' / 'environment.stamp').exists():
        pytest.skip('there is no environment of this repository')
    if not (root / 'install' / 'local_setup.sh').exists():
        pytest.skip('the package is not built here')
    names = ('predictor', 'replay', 'separation_monitor', 'view', 'train', 'benchmark')
    command = [str(root / 'environment' / 'run.sh'), 'sh', '-c', 'command -v "$@"', 'sh']
    for name in names:
        done = subprocess.run([*command, name], capture_output=True, text=True)
        assert done.stdout.strip() == str(
            root / 'install/motion_predictor/lib/motion_predictor' / name
        )
