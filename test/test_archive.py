"""Motion archives, valid and damaged, and the windows that are cut from them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from motion_predictor.archive import ArchiveError, MotionArchive, load_archive
from motion_predictor.skeleton import LayoutError, known_layouts
from motion_predictor_training.data.windows import Windows, cut_windows

FloatArray = NDArray[np.float32]
SMPL = known_layouts()['smpl22']
H36M = known_layouts()['h36m17']


@pytest.fixture
def archive(write_archive: Callable[..., Path]) -> MotionArchive:
    """Two clips of 30 and 20 frames at 60 Hz. A person moves along x by 2 cm per frame."""
    return load_archive(write_archive())


def refusal(path: Path) -> str:
    with pytest.raises(ArchiveError) as caught:
        load_archive(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert '\n' not in sentence
    return sentence


def test_clips_are_read_in_metres(write_archive: Callable[..., Path], stride: FloatArray) -> None:
    steps = np.round(np.broadcast_to(stride, (50, 22, 3)) / 0.00025).astype(np.int16)
    archive = load_archive(write_archive(positions=steps, scale=0.00025))
    assert len(archive) == 2
    assert [archive.clip(i).shape for i in range(2)] == [(30, 22, 3), (20, 22, 3)]
    assert archive.clip(1).dtype == np.float32
    np.testing.assert_allclose(archive.clip(1)[7], stride, atol=0.000126)
    assert archive.rate_hz == 60
    assert archive.clip_names == ('walk', 'walk on')
    assert archive.subjects == ('1', '2')


def test_what_an_archive_may_leave_out_is_empty(write_archive: Callable[..., Path]) -> None:
    path = write_archive(scale=None, clip_names=None, subject=None, category=None)
    archive = load_archive(path)
    assert archive.scale == 1.0
    assert archive.valid is None
    assert archive.clip_names == archive.subjects == archive.categories == ('', '')


def test_the_fingerprint_is_of_the_content(write_archive: Callable[..., Path]) -> None:
    first = load_archive(write_archive()).fingerprint
    assert load_archive(write_archive()).fingerprint == first
    assert load_archive(write_archive(fps=30)).fingerprint != first


def test_what_was_not_measured_is_missing(write_archive: Callable[..., Path]) -> None:
    valid = np.ones((50, 22), bool)
    valid[35, 4] = False
    archive = load_archive(write_archive(valid=valid))
    assert not np.isnan(archive.clip(0)).any()
    missing = np.isnan(archive.clip(1))
    assert missing[5, 4].all()
    assert missing.sum() == 3


def test_a_known_layout_is_recognised_and_another_is_made(
    write_archive: Callable[..., Path],
) -> None:
    assert load_archive(write_archive()).layout is SMPL
    names = ['base', 'LeftHip', 'RightHip', 'tip']
    own = load_archive(
        write_archive(
            positions=np.zeros((50, 4, 3)), joint_names=np.array(names), parents=[-1, 0, 0, 2]
        )
    ).layout
    assert own.joint_names == tuple(names)
    assert own.parents == (-1, 0, 0, 2)
    assert own.hips == (1, 2)


BROKEN: dict[str, dict[str, Any]] = {
    **{f'lacks {key}': {key: None} for key in ('positions', 'clip_offsets', 'fps')},
    'lacks joint_names, parents': {'joint_names': None, 'parents': None},
    r'positions of shape \(50, 22, 2\)': {'positions': np.zeros((50, 22, 2))},
    r'positions of shape \(50, 21, 3\)': {'positions': np.zeros((50, 21, 3))},
    r'positions of shape \(50, 66\)': {'positions': np.zeros((50, 66))},
    'positions of .* <U1': {'positions': np.full((50, 22, 3), 'x')},
    'not a readable': {'positions': np.full((50, 22, 3), None)},
    'offsets that do not go from 0 to its 50 frames': {'clip_offsets': np.array([0, 30])},
    'do not go from 0 to its 50 frames': {'clip_offsets': np.array([1, 50])},
    'do not go from 0': {'clip_offsets': np.array([50])},
    'clip_offsets of shape': {'clip_offsets': np.array(50)},
    'clip_offsets of .* float64': {'clip_offsets': np.array([0, 30.5, 50])},
    'an empty clip: clip_offsets must rise': {'clip_offsets': np.array([0, 30, 30, 50])},
    'an empty clip': {'clip_offsets': np.array([0, 40, 30, 50], np.uint8)},
    'empty clip': {'positions': np.zeros((0, 22, 3)), 'clip_offsets': np.array([0, 0])},
    '-5.0 frames per second': {'fps': -5},
    'nan frames per second': {'fps': np.nan},
    'fps of .* <U4': {'fps': 'fast'},
    r'fps of shape \(2,\)': {'fps': np.array([60, 60])},
    'a scale of nan': {'scale': np.nan},
    'a scale of 0': {'scale': 0},
    r'scale of shape \(3,\)': {'scale': np.ones(3)},
    r'21 parents for 22 joints': {'parents': np.array(SMPL.parents[1:])},
    'no tree': {'parents': np.array([-1, 22, *SMPL.parents[2:]])},
    'the root comes first with -1': {'parents': np.array([-1, 5, *SMPL.parents[2:]])},
    'every parent before': {'parents': np.full(22, -1)},
    'with different names': {'joint_names': np.array(['hip'] * 22)},
    'joint_names of shape': {'joint_names': np.array('hip')},
    r'valid of shape \(49, 22\)': {'valid': np.ones((49, 22), bool)},
    r'valid of .* int64': {'valid': np.ones((50, 22), np.int64)},
    r'clip_names of shape \(1,\)': {'clip_names': np.array(['walk'])},
    r'subject of shape \(3,\)': {'subject': np.array(['1', '2', '3'])},
}


@pytest.mark.parametrize(('reason', 'fields'), BROKEN.items(), ids=BROKEN)
def test_a_malformed_archive_is_refused(
    write_archive: Callable[..., Path], reason: str, fields: dict[str, Any]
) -> None:
    sentence = refusal(write_archive(**fields))
    assert re.search(reason, sentence), sentence


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    assert 'there is no motion archive' in refusal(tmp_path / 'nothing.npz')
    assert 'there is no motion archive' in refusal(tmp_path)
    for content in (b'', b'PK', b'no zip at all'):
        (tmp_path / 'garbage.npz').write_bytes(content)
        refusal(tmp_path / 'garbage.npz')
    np.save(tmp_path / 'array.npy', np.zeros(3))
    refusal(tmp_path / 'array.npy')


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1, exclude_max=True))
def test_a_truncated_archive_is_refused(write_archive: Callable[..., Path], share: float) -> None:
    path = write_archive()
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert 'not a readable .npz' in refusal(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_an_archive_with_flipped_bytes_is_refused_or_still_sound(
    write_archive: Callable[..., Path], tmp_path: Path, seed: int, compressed: bool
) -> None:
    generator = np.random.default_rng(seed)
    path = write_archive()
    if compressed:
        with np.load(path) as fields:
            np.savez_compressed(path, **dict(fields))
    content = bytearray(path.read_bytes())
    for place in generator.integers(len(content), size=3):
        content[place] = generator.integers(256)
    path.write_bytes(content)
    try:
        archive = load_archive(path)
    except ArchiveError:
        return
    assert [len(archive.clip(i)) for i in range(len(archive))] == [*np.diff(archive.clip_offsets)]


# Windows


def starts(windows: Windows) -> list[float]:
    """Return the frame at which each window starts, read from the x coordinate of its root."""
    return np.round(windows.all()[:, 0, 0, 0].numpy() / 0.02, 3).tolist()


def test_windows_start_at_multiples_of_the_stride_and_stay_within_a_clip(
    archive: MotionArchive,
) -> None:
    windows = cut_windows(archive, SMPL, 60, frames=10, stride=10)
    assert starts(windows) == [0, 10, 20, 30, 40]
    assert windows.clips.tolist() == [0, 0, 0, 1, 1]
    assert windows.all().shape == (5, 10, 22, 3)
    assert starts(cut_windows(archive, SMPL, 60, frames=25, stride=4)) == [0, 4]
    last = cut_windows(archive, SMPL, 60, frames=20, stride=1).batch(np.array([11]))
    np.testing.assert_array_equal(last[0], archive.clip(1))


@given(st.sets(st.integers(0, 49), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_windows_with_a_gap_are_left_out(
    write_archive: Callable[..., Path], gaps: set[int]
) -> None:
    valid = np.ones((50, 22), bool)
    valid[list(gaps), 3] = False
    archive = load_archive(write_archive(valid=valid))
    windows = cut_windows(archive, SMPL, 60, frames=5, stride=1)
    expected = [
        start for start in (*range(26), *range(30, 46)) if not gaps & set(range(start, start + 5))
    ]
    assert starts(windows) == expected
    assert windows.all().isfinite().all()


def test_values_that_are_not_finite_are_gaps(
    write_archive: Callable[..., Path], archive: MotionArchive
) -> None:
    positions = archive.positions.copy()
    positions[5, 3, 1], positions[40, 3, 1] = np.nan, np.inf
    windows = cut_windows(load_archive(write_archive(positions=positions)), SMPL, 60, 10, 10)
    assert starts(windows) == [10, 20, 30]


@pytest.mark.parametrize('rate_hz', [20.0, 30.0, 50.0, 60.0, 100.0])
def test_motion_is_resampled_to_another_rate(archive: MotionArchive, rate_hz: float) -> None:
    windows = cut_windows(archive, SMPL, rate_hz, frames=6, stride=1)
    per_clip = [int((length - 1) * rate_hz / 60 + 1e-6) + 1 for length in (30, 20)]
    assert len(windows) == sum(frames - 5 for frames in per_clip)
    x = windows.all()[:, :, 0, 0].numpy()
    np.testing.assert_allclose(np.diff(x, axis=1), 0.02 * 60 / rate_hz, atol=1e-5)


def test_windows_of_another_layout_are_mapped(archive: MotionArchive) -> None:
    windows = cut_windows(archive, H36M, 60, frames=10, stride=10)
    mapped, own = windows.all().numpy(), cut_windows(archive, SMPL, 60, 10, 10).all().numpy()
    assert windows.layout is H36M
    assert mapped.shape == (5, 10, 17, 3)
    for joint, common in H36M.common_names.items():
        if common in SMPL.joint_names:
            here, there = H36M.joint_names.index(joint), SMPL.joint_names.index(common)
            np.testing.assert_allclose(mapped[:, :, here], own[:, :, there], atol=1e-5)


def test_joints_of_an_archive_may_come_in_another_order(
    write_archive: Callable[..., Path], archive: MotionArchive
) -> None:
    ours = cut_windows(archive, H36M, 60, 10, 10).all().numpy()
    order = [0, *range(16, 0, -1)]
    theirs = load_archive(
        write_archive(
            positions=ours[0][:, order],
            clip_offsets=np.array([0, 10]),
            joint_names=np.array(H36M.joint_names)[order],
            parents=np.array([-1, *[0] * 16]),
            clip_names=None,
            subject=None,
            category=None,
        )
    )
    mapped = cut_windows(theirs, H36M, 60, 10, 10).all().numpy()
    np.testing.assert_allclose(mapped[0], ours[0], atol=1e-6)


def test_an_archive_that_cannot_be_mapped_says_which_joints_it_lacks(
    write_archive: Callable[..., Path],
) -> None:
    names = [name.replace('wrist', 'paw') for name in SMPL.joint_names]
    archive = load_archive(write_archive(joint_names=np.array(names)))
    with pytest.raises(LayoutError, match='l_wrist, r_wrist missing'):
        cut_windows(archive, SMPL, 60, 10, 10)


def test_an_archive_without_a_long_enough_clip_is_refused(archive: MotionArchive) -> None:
    with pytest.raises(
        ArchiveError, match='no clip of the archive has 31 gapless frames in a row at 60'
    ):
        cut_windows(archive, SMPL, 60, frames=31, stride=1)


# Recorded motion


def test_recorded_motion_gives_the_published_windows_and_baseline(recorded: Path) -> None:
    archive = load_archive(recorded / 'test.npz')
    assert archive.layout is SMPL
    windows = cut_windows(archive, SMPL, 60, frames=150, stride=30)
    assert len(windows) == 525
    ade = fde = 0.0
    for window in windows.all():
        relative = (window[:, 1:] - window[:, :1]).flatten(1)
        distance = (relative[30:] - relative[29]).norm(dim=-1)
        ade += distance.mean().item() / len(windows)
        fde += distance[-1].item() / len(windows)
    assert (ade, fde) == pytest.approx((0.674, 0.834), abs=5e-4)


def test_recorded_motion_with_unmeasured_joints_loads(recorded: Path) -> None:
    archive = load_archive(recorded / 'hrc_upper.npz')
    assert archive.valid is not None
    assert np.isnan(archive.clip(0)).any()
    with pytest.raises(ArchiveError, match='gapless'):  # nobody's legs were measured
        cut_windows(archive, SMPL, 60, frames=150, stride=30)
