"""Evaluation, on motions whose figures are known in advance."""

import json
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import run_train
from numpy.typing import NDArray

from motion_predictor.checkpoint import Window
from motion_predictor.model.frames import to_features
from motion_predictor.skeleton import known_layouts
from motion_predictor.uncertainty.sets import Sets
from motion_predictor_training.calibration.calibrate import calibrate
from motion_predictor_training.config import CalibrationConfig
from motion_predictor_training.evaluation import evaluate as evaluation
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint
from motion_predictor_training.evaluation.measures import protocol, published
from motion_predictor_training.evaluation.report.writing import table
from motion_predictor_training.evaluation.shown import predict_shown
from motion_predictor_training.predicting import every_window as predictions

SMPL = known_layouts()['smpl22']
HISTORY, FUTURE, RATE_HZ = 5, 7, 20

Archive = Callable[..., Path]


def walk(stride: NDArray[np.float32], frames: int, step_m: float) -> NDArray[np.float32]:
    """Return a person (frames, 22, 3) who slides along x."""
    return stride + np.arange(frames)[:, None, None] * np.array([step_m, 0, 0], np.float32)


def dance(frames: int, seed: int = 0) -> NDArray[np.float32]:
    """Return joints (frames, 22, 3) that wander about."""
    steps = np.random.default_rng(seed).normal(scale=0.02, size=(frames, 22, 3))
    return (np.arange(22)[:, None] * [0.05, 0.1, 0.07] + steps.cumsum(0)).astype(np.float32)


def test_constant_velocity_is_right_about_constant_velocity(
    saved: Callable[..., Path], write_archive: Archive, stride: NDArray[np.float32]
) -> None:
    step_m = 0.022
    archive = write_archive(positions=walk(stride, 50, step_m), fps=RATE_HZ)
    result = evaluate_checkpoint(saved(), archive, samples=4, stride=4)
    right = result['rows']['constant_velocity']
    for name, value in right.items():
        assert value == pytest.approx(0, abs=2e-2 if name.endswith(('mm', 's3')) else 2e-5), name
    behind_m = step_m * (FUTURE + 1) / 2  # the mean of 1, 2, ... FUTURE steps
    wrong = result['rows']['zero_velocity']
    assert wrong['ADE'] == pytest.approx(0, abs=1e-5), 'the pose does not change'
    assert wrong['root_ADE_m'] == wrong['root_ADE_of_mean_m'] == pytest.approx(behind_m, rel=1e-4)
    assert wrong['MPJPE_of_mean_mm'] == pytest.approx(behind_m * 1000, rel=1e-4)
    assert wrong['end_hausdorff_best_m'] == pytest.approx(FUTURE * step_m, rel=1e-4)
    assert wrong['end_DTW_of_mean_m'] == pytest.approx(behind_m, rel=1e-4)
    assert wrong['speed_JSD_bits'] == pytest.approx(1)
    at_s = dict(
        zip(
            result['horizon']['times_s'],
            result['horizon']['rows']['zero_velocity']['MPJPE_of_mean_mm'],
            strict=True,
        )
    )
    assert list(at_s) == [0.1, 0.2, 0.3], 'the future ends at 0.35 s'
    assert list(at_s.values()) == pytest.approx([44, 88, 132], rel=1e-3), '0.44 m/s'
    assert result['rows']['model']['MPJPE_of_mean_mm'] > 1
    assert result['truth']['limb_error_mm'] == pytest.approx(0, abs=1e-3)


def test_the_truth_is_measured_too(
    saved: Callable[..., Path], write_archive: Archive, stride: NDArray[np.float32]
) -> None:
    motion = np.repeat(stride[None], HISTORY + FUTURE, axis=0)
    head, neck = SMPL.index('head'), SMPL.index('neck')
    limb = stride[head] - stride[neck]
    motion[HISTORY:, head] += limb / np.linalg.norm(limb) * 0.01  # 1 of 21 limbs grows by 10 mm
    archive = write_archive(
        positions=motion,
        fps=RATE_HZ,
        clip_offsets=[0, len(motion)],
        **{name: np.array(['one']) for name in ('clip_names', 'subject', 'category')},
    )
    result = evaluate_checkpoint(saved(), archive, samples=2)
    assert result['windows'] == 1
    assert result['truth']['limb_error_mm'] == pytest.approx(10 / 21, rel=1e-3)
    assert result['rows']['zero_velocity']['limb_error_mm'] == pytest.approx(0, abs=1e-4)
    joints = result['joints']['zero_velocity']['of_mean_mm']
    assert joints.pop('head') == pytest.approx(10, rel=1e-3)
    assert set(joints.values()) == {0}
    assert [shown['label'] for shown in result['shown']] == ['hard'], 'one window, shown once'


def test_coverage_of_all_of_nothing_and_of_a_part(
    saved: Callable[..., Path], write_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_archive(positions=dance(50), fps=RATE_HZ)

    def coverage(scale: float) -> dict[str, Any]:
        result = evaluate_checkpoint(saved(scale), archive, samples=4, stride=6)
        groups = result['groups']['subject'].values()
        windows = [g['windows'] for g in groups]
        reached = np.average([g['coverage']['reached'] for g in groups], weights=windows)
        assert reached == pytest.approx(result['coverage']['reached'])
        return result['coverage']

    assert coverage(1e9)['reached'] == 1
    assert coverage(1e-30)['reached'] == 0
    assert coverage(1e-30)['nominal'] == 0.9
    early = np.full((FUTURE, 22), 1e-30)
    early[:3, 4] = 1e9  # only one joint is held, up to 0.15 s
    monkeypatch.setattr(
        Sets,
        '__call__',
        lambda self, state, spread, samples: (early + 0 * spread, spread[..., 0]),
    )
    part = coverage(1.0)
    assert part['reached'] == pytest.approx(3 / FUTURE / 22)
    assert part['reached_at_s'] == pytest.approx({'0.1': 1 / 22, '0.2': 0, '0.3': 0})
    assert part['reached_by_joint'].pop(SMPL.joint_names[4]) == pytest.approx(3 / FUTURE)
    assert set(part['reached_by_joint'].values()) == {0}


def test_a_calibrated_radius_holds_what_it_was_calibrated_on(
    saved: Callable[..., Path], write_archive: Archive, tmp_path: Path
) -> None:
    archive = write_archive(positions=dance(200), clip_offsets=np.array([0, 90, 200]), fps=RATE_HZ)
    config = CalibrationConfig(coverages=[0.8], stride=4, samples=[4])
    calibrate(config, saved(), [archive], [], tmp_path / 'calibrated.safetensors')
    result = evaluate_checkpoint(tmp_path / 'calibrated.safetensors', archive, 4, stride=4)
    assert result['coverage']['nominal'] == 0.8
    assert 0.78 <= result['coverage']['reached'] <= 0.9


def test_without_calibration_there_is_no_coverage(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    result = evaluate_checkpoint(saved(), write_archive(fps=RATE_HZ), samples=2)
    assert 'coverage' not in json.dumps(result)


def test_the_protocol_is_that_of_the_whole_at_once(
    saved: Callable[..., Path], write_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluating a few windows at a time gives the figures of all windows at once."""
    archive = write_archive(positions=dance(50), fps=RATE_HZ)
    monkeypatch.setattr(protocol, 'SIMILAR_AT_ONCE', 2)
    original = evaluation.predict_windows
    kept = []

    def keep(*arguments: Any) -> Iterator[predictions.Predicted]:
        for predicted in original(*arguments):
            kept.append(predicted)
            yield predicted

    monkeypatch.setattr(evaluation, 'predict_windows', keep)
    result = evaluate_checkpoint(saved(), archive, samples=4, stride=1, multimodal_threshold=0.4)
    assert len(kept) > 1
    motion = torch.cat([torch.cat([p.history, p.future], dim=1) for p in kept])
    samples = torch.cat([p.samples for p in kept]).transpose(0, 1)  # (S, W, F, J, 3)
    similar = published.similar_windows(to_features(motion[:, HISTORY - 1], False), 0.4)
    assert similar.sum(1).max() > 2, 'there are parts'
    expected = published.evaluate(
        to_features(motion, False), to_features(samples, False), HISTORY, 0.4
    )
    actual = {name: result['rows']['model'][name] for name in published.METRIC_NAMES}
    assert actual == pytest.approx(expected, rel=1e-5)
    assert list(result['rows']['model'])[:13] == list(published.METRIC_NAMES)


def test_the_error_at_the_end_of_the_horizon_is_the_final_one(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    window = Window(rate_hz=10, history_frames=5, future_frames=7, coefficients=6)
    archive = write_archive(positions=dance(50), fps=10)
    result = evaluate_checkpoint(saved(window=window), archive, samples=4, stride=3)
    assert result['horizon']['times_s'] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    for row, curves in result['horizon']['rows'].items():
        figures = result['rows'][row]
        assert curves['FDE'][-1] == pytest.approx(figures['FDE'], rel=1e-5)
        assert np.mean(curves['MPJPE_best_mm']) == pytest.approx(figures['MPJPE_best_mm'])
        assert np.mean(curves['root_of_mean_m']) == pytest.approx(figures['root_ADE_of_mean_m'])
        assert all(len(curve) == 7 for curve in curves.values())


@pytest.mark.parametrize('threshold', [0.0, -1.0, float('nan')])
def test_a_threshold_that_no_window_passes_is_refused(
    saved: Callable[..., Path], write_archive: Archive, threshold: float
) -> None:
    with pytest.raises(ValueError, match='the multimodal threshold must be positive'):
        evaluate_checkpoint(saved(), write_archive(), multimodal_threshold=threshold)


def test_predictions_are_not_kept(
    saved: Callable[..., Path], write_archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictions, 'CHUNK', 1)
    original = evaluation.predict_windows
    alive: list[int] = []

    def watch(*arguments: Any) -> Iterator[predictions.Predicted]:
        references = []
        for predicted in original(*arguments):
            references.append(weakref.ref(predicted.samples))
            alive.append(sum(reference() is not None for reference in references))
            yield predicted

    monkeypatch.setattr(evaluation, 'predict_windows', watch)
    archive = write_archive(positions=dance(50), fps=RATE_HZ)
    evaluate_checkpoint(saved(), archive, samples=2, stride=3)
    assert len(alive) >= 8
    assert max(alive) <= 2, 'the one at hand, and the one before it until it is replaced'


def test_the_command_writes_table_json_markdown_and_plots(
    saved: Callable[..., Path],
    write_archive: Archive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    category = np.array(['100 $', 'a $x^{ y$'])  # plots must not take these names for formulas
    archive = write_archive(positions=dance(50), fps=RATE_HZ, category=category)
    out = tmp_path / 'out'
    arguments = ['evaluate', '--checkpoint', str(saved(2.0)), '--archive', str(archive)]
    arguments += ['--samples', '4', '--stride', '5', '--seen', '1']
    arguments += ['--json', str(out / 'report.json'), '--markdown', str(out / 'report.md')]
    assert run_train([*arguments, '--plots', str(out / 'plots')]) == 0
    result = json.loads((out / 'report.json').read_text())
    assert list(result['rows']) == ['model', 'zero_velocity', 'constant_velocity']
    for row in result['rows'].values():
        assert set(published.METRIC_NAMES) < set(row)
        assert np.isfinite(list(row.values())).all()
    shown = capsys.readouterr().out
    page = (out / 'report.md').read_text()
    for text in (shown, page):
        assert f'{result["rows"]["model"]["ADE"]:.3f}' in text
        for word in ('| MMFDE-w', '| speed_JSD_bits', '| 0.2 s', '| 1 (seen)', '| 2 ', 'unseen'):
            assert word in text
    assert '| l_wrist' in page
    labels = ('easy', 'typical', 'hard')
    assert [entry['label'] for entry in result['shown']] == list(labels)
    errors = [entry['ADE'] for entry in result['shown']]
    assert errors == sorted(errors)
    names = {'error_over_horizon.png', 'world_over_horizon.png', 'samples.png', 'sets.png'}
    names |= {f'fan_{label}.png' for label in labels}
    assert {file.name for file in (out / 'plots').iterdir()} == names
    for name in names:
        assert (out / 'plots' / name).read_bytes().startswith(b'\x89PNG')


def test_the_windows_shown_are_predicted_as_they_were(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    archive = write_archive(positions=dance(50), fps=RATE_HZ)
    checkpoint = saved()
    result = evaluate_checkpoint(checkpoint, archive, samples=4, stride=2)
    predicted = predict_shown(checkpoint, archive, result)
    features, truth = to_features(predicted.samples, False), to_features(predicted.future, False)
    errors = (features - truth[:, None]).norm(dim=-1).mean(2).amin(1)
    assert errors.tolist() == pytest.approx([entry['ADE'] for entry in result['shown']])


# Intervals, people, and sections of the report


def test_figures_have_intervals_and_averages_over_people(
    saved: Callable[..., Path], write_archive: Archive
) -> None:
    archive = write_archive(
        positions=dance(120),
        clip_offsets=np.array([0, 30, 50, 90, 120]),
        fps=RATE_HZ,
        clip_names=np.array(['a', 'b', 'c', 'd']),
        subject=np.array(['7', '8', '7', '8']),
        category=np.array(['lifting', 'walking', 'lifting', 'lifting']),
    )
    result = evaluate_checkpoint(saved(2.0), archive, samples=4, stride=3)
    assert result['clips'] == 4
    groups = result['groups']['subject']
    for row, figures in result['rows'].items():
        for name in published.METRIC_NAMES:
            low, high = result['intervals'][row][name]
            assert low <= figures[name] * (1 + 1e-6) and figures[name] <= high * (1 + 1e-6)
            people = [groups[person]['rows'][row][name] for person in '78']
            assert result['people'][row][name] == pytest.approx(np.mean(people), rel=1e-5)
    world = result['world']
    assert world['times_s'] == pytest.approx([1 / 60, 0.05, 0.1, 0.2, 0.33])
    model = world['all']['joints']['rows']['model']
    curve = result['horizon']['rows']['model']['MPJPE_of_mean_mm']  # 0.1, 0.2, 0.3 s ahead
    assert model['mean'][2:4] == pytest.approx(curve[:2], rel=1e-5)
    assert model['over_people'] == pytest.approx(
        np.mean(
            [world['groups']['subject'][p]['joints']['rows']['model']['mean'] for p in '78'], 0
        )
    )
    assert world['groups']['category']['walking']['joints']['rows']['model']['low'][0] is None
    assert result['scores']['times_s'] == [0.1, 0.2]
    assert result['sets']['times_s'] == [0.05, 0.1, 0.2, 0.33]
    reached = result['coverage']['reached_at_s']
    assert result['sets']['ours']['coverage'][1:3] == pytest.approx(
        [reached['0.1'], reached['0.2']]
    )


def test_where_a_baseline_is_better_is_said_and_so_is_nowhere(
    saved: Callable[..., Path], write_archive: Archive, stride: NDArray[np.float32]
) -> None:
    archive = write_archive(positions=walk(stride, 50, 0.022), fps=RATE_HZ)
    result = evaluate_checkpoint(saved(), archive, samples=4, stride=4)
    wins = result['world']['where_a_baseline_is_better']
    assert {'all', 'pace', 'subject'} <= {win['kind'] for win in wins}
    assert 'Where a baseline is better, beyond the interval' in table(result)
    result['world']['where_a_baseline_is_better'] = []
    assert table(result).endswith('Nowhere is a baseline better beyond the interval.')
