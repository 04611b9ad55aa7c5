"""The example bodies other than people: generated, learnt, distilled and measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run_train

from motion_predictor.checkpoint import load_checkpoint

BODIES = Path(__file__).parents[2] / 'examples' / 'bodies'


@pytest.mark.parametrize(
    ('body', 'joints', 'frame'), [('quadruped', 13, 'heading'), ('arm', 5, 'world')]
)
def test_a_body_that_is_no_person_is_learnt(
    body: str, joints: int, frame: str, tmp_path: Path
) -> None:
    for name, seed in (('train', 1), ('test', 2)):
        maker = [sys.executable, str(BODIES / 'make_motion.py'), body, '--seed', str(seed)]
        out = ['--clips', '3', '--out', str(tmp_path / f'{name}.npz')]
        assert subprocess.run([*maker, *out], check=False).returncode == 0
    files = {name: str(tmp_path / f'{name}.safetensors') for name in ('teacher', 'student')}
    train = ['--train', str(tmp_path / 'train.npz')]

    def run(*words: str, settings: tuple[str, ...]) -> None:
        options = [part for setting in settings for part in ('--set', setting)]
        assert run_train([*words, *train, *options]) == 0

    few = ('optimisation.steps=10', 'optimisation.batch=16')
    teacher = ('teacher', '--config', 'small-teacher', '--out', files['teacher'])
    run(*teacher, settings=(f'layout={BODIES / body}.yaml', *few))
    student = ('student', '--direct', '--teacher', files['teacher'], '--out', files['student'])
    network = 'network={kind: gru, layers: 1, width: 16}'
    run(*student, settings=(network, 'bank={size: 64, chunk: 64}', *few))
    header = load_checkpoint(files['student']).header
    assert (len(header.layout.joints), header.frame) == (joints, frame)

    evaluate = ['evaluate', '--checkpoint', files['student'], '--samples', '4']
    report = tmp_path / 'report.json'
    archive = ['--archive', str(tmp_path / 'test.npz'), '--json', str(report)]
    assert run_train([*evaluate, *archive]) == 0
    rows = json.loads(report.read_text())['rows']
    assert rows['model']['APD'] > 0 and rows['model']['ADE'] < 2
