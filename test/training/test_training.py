"""The whole chain in miniature on real motion, killed and resumed on the way."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from ament_index_python.packages import get_package_prefix

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training.cli import main
from motion_predictor_training.config import (
    ConfigError,
    TeacherConfig,
    load_config,
)

TRAIN = str(Path(get_package_prefix('motion_predictor')) / 'lib' / 'motion_predictor' / 'train')
MINIATURE = {
    'teacher.network.layers': 3,
    'teacher.network.width': 64,
    'teacher.network.ff_width': 128,
    'teacher.network.heads': 4,
    'teacher.optimisation.steps': 400,
    'teacher.optimisation.batch': 64,
    'teacher.optimisation.save_every': 50,
    'one-step.bank': '{size: 2048, chunk: 512}',
    'one-step.optimisation.steps': 150,
    'one-step.optimisation.batch': 64,
    'student.network.layers': 3,
    'student.network.width': 64,
    'student.bank': '{size: 4096, chunk: 512}',
    'student.optimisation.steps': 300,
    'student.optimisation.batch': 64,
    'refine.optimisation.steps': 60,
    'refine.optimisation.batch': 32,
    'calibrate.stride': 60,
    'calibrate.samples': [50],
    'calibrate.coverages': [0.9],
    'calibrate.steps': 20,
}


def everything(recorded: Path, out: Path) -> list[str]:
    """Return the command line of the whole chain in miniature."""
    overrides = [part for item in MINIATURE.items() for part in ('--set', '{}={}'.format(*item))]
    archives = ['--train', str(recorded / 'train.npz'), '--validation', str(recorded / 'val.npz')]
    return ['all', *archives, '--out', str(out), *overrides]


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
        [TRAIN, *everything(recorded, out)], capture_output=True, text=True, check=False
    )
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert f'{reached}/400' in resumed.stderr, 'it went on where it was'

    checkpoint = load_checkpoint(out / 'predictor.safetensors')
    assert checkpoint.header.calibration is not None
    ancestry = checkpoint.header.provenance
    for _ in ('student', 'one-step', 'teacher'):
        ancestry = ancestry['parent']['provenance']
    assert ancestry['configuration']['optimisation']['steps'] == 400

    report = tmp_path / 'report.json'
    arguments = ['evaluate', '--checkpoint', str(out / 'predictor.safetensors')]
    arguments += ['--archive', str(recorded / 'test.npz'), '--stride', '240']
    assert main([*arguments, '--json', str(report)]) == 0
    result = json.loads(report.read_text())
    rows = result['rows']
    for metric in (
        'MPJPE_of_mean_mm',
        'root_ADE_of_mean_m',
    ):  # so small a model knows no poses yet
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
        ('optimisation', "an override reads key=value, got 'optimisation'"),
    ],
)
def test_a_wrong_configuration_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], override: str, sentence: str
) -> None:
    arguments = ['teacher', '--train', 'none.npz', '--out', str(tmp_path / 'x.safetensors')]
    assert main([*arguments, '--set', override]) == 2
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
    assert main(arguments) == 2
    assert capsys.readouterr().err == 'train teacher: there is no motion archive none.npz\n'


def test_evaluation_reports_the_shipped_checkpoint(recorded: Path, tmp_path: Path) -> None:
    """The whole protocol on a part of the windows; the full one is what the README shows."""
    report = tmp_path / 'default.json'
    arguments = ['evaluate', '--archive', str(recorded / 'test.npz'), '--stride', '150']
    assert main([*arguments, '--json', str(report)]) == 0
    rows = json.loads(report.read_text())['rows']
    for metric, share in (('MPJPE_of_mean_mm', 0.75), ('root_ADE_of_mean_m', 0.75), ('FDE', 0.95)):
        assert rows['model'][metric] < share * rows['zero_velocity'][metric]
    assert np.isfinite(list(rows['model'].values())).all()
