"""The benchmark in miniature: all figures exist and are consistent. No test limits a time."""

import json
import subprocess
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ament_index_python.packages import get_package_prefix
from commands import NOISE

from motion_predictor_benchmark.cli import main
from motion_predictor_benchmark.published import with_ratios
from motion_predictor_benchmark.timing import Timing, side_by_side

BENCHMARK = Path(get_package_prefix('motion_predictor')) / 'lib/motion_predictor/benchmark'
SAMPLES = 4


@pytest.fixture(scope='module')
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """The results of every section, the printed tables, and the plot."""
    folder = tmp_path_factory.mktemp('benchmark')
    files = ['--json', str(folder / 'figures.json'), '--plot', str(folder / 'curves.png')]
    process = subprocess.run(
        [BENCHMARK, '--quick', '--eager', '--samples', str(SAMPLES), *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert not NOISE.findall(process.stderr)
    assert process.stdout.splitlines()[-1] == f'written: {folder / "curves.png"}'
    return json.loads((folder / 'figures.json').read_text()), process.stdout, folder


def test_every_checkpoint_is_measured_with_gaps_and_without(quick: Any) -> None:
    rows = quick[0]['model']
    assert {(r['checkpoint'], r['gap_ms'] > 0) for r in rows} == {
        (name, gap) for name in ('default', 'accurate') for gap in (True, False)
    }
    for row in rows:
        assert row['calls'] >= 4
        assert 0 < row['median_ms'] <= row['p99_ms'] <= row['p999_ms'] <= row['max_ms']
        assert row['error_p99_cm'] == 0, 'eager is what the others are compared with'


def test_the_cost_of_people_and_samples_is_a_curve(quick: Any) -> None:
    sizes = {(r['people'], r['samples']) for r in quick[0]['scaling']}
    assert sizes == {(1, 1), (1, SAMPLES), (2, SAMPLES)}


def test_published_sizes_are_compared_with_ours_and_with_the_peak(quick: Any) -> None:
    rows = {row['checkpoint']: row for row in quick[0]['published']}
    for name in ('swiftdiff amass 16x896', 'swiftdiff h36m 12x768', 'transfusion amass 13x512'):
        row = rows[name]
        assert row['gflop'] > rows['default']['gflop']
        assert row['default_is_faster'] == row['median_ms'] / rows['default']['median_ms']
        assert row['share_of_peak'] > 0
    teacher = rows['transfusion amass 13x512, 2 steps']
    assert teacher['step']['calls'] == 2
    assert 2 * teacher['step']['median_ms'] <= teacher['median_ms'], 'the steps are the whole'


def test_distances_are_measured_in_both_languages(quick: Any) -> None:
    rows = quick[0]['planning']
    assert [row['language'] for row in rows] == 3 * ['Python', 'C++']
    assert rows[0]['distance_m'] < rows[2]['distance_m'] < rows[4]['distance_m']
    for row in rows:
        assert 0 < row['closest_min_ms'] <= row['closest_median_ms'] <= row['closest_p99_ms']


def test_the_node_is_measured_from_message_to_message(quick: Any) -> None:
    nobody, someone = quick[0]['end_to_end']
    assert nobody['people'] == 0
    assert nobody['statuses']['OK'] > 0, 'nobody is there, and the node says so'
    assert 'received' not in nobody
    assert nobody['start_up']['cache'] == 'cold'
    assert someone['sent'] >= 60
    assert someone['samples'].keys() == {str(SAMPLES)}
    assert someone['received']['calls'] + someone['unanswered'] <= someone['sent'] + 1
    assert 0 < someone['transport']['median_ms'] < someone['received']['median_ms']
    assert {'wait', 'inference', 'publish'} <= someone['stages'].keys()
    for measured in (nobody, someone):
        start_up = measured['start_up']
        assert 0 < start_up['active_s'] < start_up['predicting_s'] <= start_up['engine_s']
        assert measured['cpu_share'] > 0
        assert min(measured['memory_mb'].values()) > 50


def test_tables_and_plot_are_made(quick: Any) -> None:
    figures, printed, folder = quick
    assert figures['machine']['cpu'] in printed
    for title in ('Prediction:', 'Cost of people', 'Published sizes:', 'Message in', 'Start and'):
        assert title in printed
    assert (folder / 'curves.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--archive', '/nowhere.npz'], 'there is no motion archive /nowhere.npz'),
        (['--checkpoint', '/nowhere.safetensors'], 'there is no checkpoint /nowhere.safetensors'),
        (['--device', 'abacus'], "the device 'abacus' is not available"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(['--eager', *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith('benchmark: ')
    assert sentence in said


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--only', 'model,speed'], "there is no section 'speed'"),
        (['--calls', '0'], 'must lie between 1 and'),
        (['--only', 'model', '--plot', 'curves.png'], 'measure one of them'),
    ],
)
def test_a_wrong_command_line_is_refused(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match='2'):
        main(arguments)
    assert sentence in capsys.readouterr().err


def test_things_are_timed_in_turns() -> None:
    order: list[str] = []
    calls = {name: lambda turn, name=name: order.append(name) for name in 'ab'}
    timings = side_by_side(calls, number=8, gap_s=0.0, description='test')
    assert [timing.calls for timing in timings.values()] == [8, 8]
    changes = sum(left != right for left, right in zip(order, order[1:], strict=False))
    assert changes == 7, 'four turns each'


def test_statistics_name_what_was_measured() -> None:
    timing = Timing.of(np.arange(1, 1002).tolist())
    assert astuple(timing) == pytest.approx((1001, 501, 991, 1000, 1001))


def test_ratios_are_to_the_best_engine_and_to_the_same() -> None:
    names = ('checkpoint', 'engine', 'precision', 'median_ms')
    rows = [
        dict(zip(names, row, strict=True))
        for row in [
            ('default', 'eager', 'float32', 8.0),
            ('default', 'compiled', 'bfloat16', 2.0),
            ('big', 'eager', 'float32', 80.0),
        ]
    ]
    big = with_ratios(rows)[-1]
    assert (big['default_is_faster'], big['in_the_same_engine']) == (40.0, 10.0)
