"""The whole chain in miniature on recorded motion, killed and resumed in between."""

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ament_index_python.packages import get_package_prefix
from commands import run_train

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.config import (
    ConfigError,
    TeacherConfig,
    load_config,
)
from motion_predictor_training.recipe import load_recipe, read_recipe
from motion_predictor_training.shipped import configuration_file

TRAIN = str(Path(get_package_prefix('motion_predictor')) / 'lib' / 'motion_predictor' / 'train')
ARCHIVES = {'train': 'train', 'validation': 'val', 'test': 'test'}


def everything(recorded: Path, out: Path) -> list[str]:
    """Return the command line of the whole chain in miniature."""
    archives = [f'--{use}={recorded / file}.npz' for use, file in ARCHIVES.items()]
    return ['all', '--config', 'miniature', *archives, '--out', str(out)]


def test_the_chain_survives_a_kill_and_beats_standing_still(
    recorded: Path, tmp_path: Path
) -> None:
    out = tmp_path / 'chain'
    state = out / 'teacher.state'
    process = subprocess.Popen([TRAIN, *everything(recorded, out)], stderr=subprocess.DEVNULL)
    patience = time.monotonic() + 300
    while not state.exists() and time.monotonic() < patience:
        assert process.poll() is None, 'it runs until it is killed'
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    reached = torch.load(state, weights_only=True)['step']
    assert 0 < reached < 400, 'it was killed half-way through the teacher'

    resumed = subprocess.run(
        [TRAIN, *everything(recorded, out), '--clean'], capture_output=True, text=True, check=False
    )
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert f'steps {reached + 1} to 400' in resumed.stdout, 'it went on where it was'
    assert resumed.stderr == ''
    assert resumed.stdout.splitlines()[-1] == f'written: {out}'
    assert not [*out.glob('*.state'), *out.glob('*.bank')]

    checkpoint = load_checkpoint(out / 'predictor.safetensors')
    assert checkpoint.header.calibration is not None
    ancestry = checkpoint.header.provenance
    for _ in ('refine', 'student', 'one-step', 'teacher'):
        ancestry = ancestry['parent']['provenance']
    assert ancestry['configuration']['optimisation']['steps'] == 400

    records = json.loads((out / 'records.json').read_text())
    stages = ['teacher', 'one-step', 'student', 'refine', 'refine-2', 'refine-3', 'calibrate']
    assert list(records['stages']) == stages
    assert all(stage['minutes'] >= 0 for stage in records['stages'].values())
    assert records['stages']['refine-2']['configuration']['optimisation']['seed'] == 4
    assert records['data']['train'][0]['fingerprint'] == ancestry['data']['train']
    result = records['evaluation']
    rows = result['rows']
    for metric in (
        'MPJPE_of_mean_mm',
        'root_ADE_of_mean_m',
    ):  # metrics of the pose are left out: this model is too small for poses
        assert rows['model'][metric] < rows['zero_velocity'][metric]
        assert rows['model'][metric] < rows['constant_velocity'][metric]
    assert rows['model']['APD'] > rows['zero_velocity']['APD'] == 0
    assert 0.5 < result['coverage']['reached'] <= 1


@pytest.mark.parametrize(
    ('override', 'sentence'),
    [
        ('optimisation.stepz=3', 'optimisation.stepz: Extra inputs are not permitted'),
        (
            'optimisation.steps=-3',
            'optimisation.steps: Input should be greater than or equal to 1',
        ),
        ('window.rate_hz=fast', 'window.rate_hz: Input should be a valid number'),
        ('optimisation', "an override must have the form key=value, got 'optimisation'"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, sentence: str
) -> None:
    arguments = ['teacher', '--train', 'none.npz', '--out', str(tmp_path / 'x.safetensors')]
    assert run_train([*arguments, '--set', override]) == 2
    assert sentence in capsys.readouterr().err


def test_a_configuration_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / 'teacher.yaml'
    file.write_text('{')
    with pytest.raises(ConfigError, match='cannot read the configuration'):
        load_config(TeacherConfig, file, [])


def test_training_on_a_missing_archive_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ['teacher', '--train', 'none.npz', '--out', str(tmp_path / 'x.safetensors')]
    assert run_train(arguments) == 2
    assert capsys.readouterr().err == 'train teacher: there is no motion archive none.npz\n'


def test_evaluation_reports_the_shipped_checkpoint(recorded: Path, tmp_path: Path) -> None:
    """Run the whole evaluation on some windows. README.md has the results on all windows."""
    report = tmp_path / 'default.json'
    arguments = ['evaluate', '--archive', str(recorded / 'test.npz'), '--stride', '150']
    assert run_train([*arguments, '--json', str(report)]) == 0
    rows = json.loads(report.read_text())['rows']
    for metric, share in (('MPJPE_of_mean_mm', 0.75), ('root_ADE_of_mean_m', 0.75), ('FDE', 0.95)):
        assert rows['model'][metric] < share * rows['zero_velocity'][metric]
    assert np.isfinite(list(rows['model'].values())).all()


def in_common(recipe: Any, shipped: Any) -> Any:
    """Return the fields of a recipe that the shipped configuration, an older schema, also has."""
    if isinstance(recipe, dict) and isinstance(shipped, dict):
        return {
            key: in_common(value, shipped[key]) for key, value in recipe.items() if key in shipped
        }
    return recipe


@pytest.mark.parametrize('name', ['default', 'accurate'])
def test_recipes_say_how_what_ships_was_made(name: str) -> None:
    stages = read_recipe(configuration_file(name, folder='recipes'))
    made = load_checkpoint(name).header.provenance
    configurations = {'calibrate': made['calibration']}
    stage_of = {stage.name: stage for stage in stages}
    found = [(stage_of['calibrate'].after, made)]
    while found:
        stage_name, made = found.pop()
        assert stage_name is not None
        configurations[stage_name] = made['configuration']
        stage = stage_of[stage_name]
        if stage.after:
            found.append((stage.after, made['parent']['provenance']))
        members = [member['provenance'] for member in made.get('committee', ())]
        found += zip(stage.committee, members, strict=True)
    assert len(stages) == len(configurations)
    for stage in stages:
        shipped = configurations[stage.name]
        recipe = stage.config.model_dump(mode='json')
        for irrelevant in ('save_every',):
            recipe.get('optimisation', {}).pop(irrelevant, None)
        recipe = in_common(recipe, shipped)
        assert recipe == in_common(shipped, recipe), stage.name


def test_an_override_of_no_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='must begin with one of calibrate, .*refine-2'):
        read_recipe(configuration_file('miniature', folder='recipes'), ['distil.steps=3'])


def test_a_recipe_that_ends_early_is_refused(tmp_path: Path) -> None:
    recipe = tmp_path / 'short.yaml'
    recipe.write_text('stages: [{kind: teacher}, {kind: student}]')
    with pytest.raises(ConfigError, match='begin with teacher and end with calibrate'):
        load_recipe(recipe)
