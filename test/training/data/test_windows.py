"""Windows of people who were measured completely or in part, and their memory."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motion_predictor.archive import ArchiveError, load_archive
from motion_predictor.skeleton import known_layouts
from motion_predictor_training.data.hidden import complete
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.evaluation.measures.gaps import mean, norm

SMPL = known_layouts()['smpl22']
FRAMES = 10


@given(st.sets(st.integers(0, 49), max_size=4), st.sets(st.integers(0, 49), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_partial_windows_are_those_with_a_measured_joint_in_every_frame(
    write_archive: Callable[..., Path], occluded: set[int], lost: set[int]
) -> None:
    valid = np.ones((50, 22), bool)
    valid[:, 4:8] = False  # never measured
    valid[list(occluded), :10] = False  # the root is missing too
    valid[list(lost)] = False
    archive = load_archive(write_archive(valid=valid))
    starts = [
        start
        for start in (*range(30 - FRAMES + 1), *range(30, 50 - FRAMES + 1))
        if not lost & set(range(start, start + FRAMES))
    ]
    if not starts:
        with pytest.raises(ArchiveError, match='has 10 frames with a measured joint in a row'):
            cut_windows(archive, SMPL, 60, FRAMES, stride=1, partial=True)
        return
    windows = cut_windows(archive, SMPL, 60, FRAMES, stride=1, partial=True)
    assert windows.starts.tolist() == starts
    motion = windows.all()
    for window, start in zip(motion, starts, strict=True):
        measured = window.isfinite().all(-1).numpy()
        np.testing.assert_array_equal(measured, valid[start : start + FRAMES])


def test_whole_windows_of_an_archive_are_the_same_when_they_may_be_partial(
    write_archive: Callable[..., Path],
) -> None:
    archive = load_archive(write_archive())
    whole, partial = (cut_windows(archive, SMPL, 60, FRAMES, 3, partial=p) for p in (False, True))
    np.testing.assert_array_equal(whole.starts, partial.starts)
    torch.testing.assert_close(whole.all(), partial.all(), rtol=0, atol=0)


def test_upper_bodies_are_windows_too(recorded: Path) -> None:
    archive = load_archive(recorded / 'hrc_upper.npz')
    windows = cut_windows(archive, SMPL, 60, frames=150, stride=30, partial=True)
    lengths = np.diff(archive.clip_offsets)
    assert len(windows) == sum((length - 150) // 30 + 1 for length in lengths if length >= 150)
    measured = windows.all().isfinite().all(-1)
    assert measured.any(-1).all()
    assert 0.38 < measured.float().mean() < 0.42


@pytest.mark.parametrize('rate_hz', [60.0, 50.0])
def test_memory_does_not_grow_with_the_motion(
    write_archive: Callable[..., Path], rate_hz: float
) -> None:
    def peak(clips: int) -> int:
        path = write_archive(
            positions=np.zeros((clips * 1000, 22, 3), np.int16),
            clip_offsets=np.arange(clips + 1) * 1000,
            valid=np.ones((clips * 1000, 22), bool),
            clip_names=None,
            subject=None,
            category=None,
        )
        tracemalloc.start()
        windows = cut_windows(load_archive(path), SMPL, rate_hz, FRAMES, stride=1)
        assert windows.batch(np.array([0])).shape == (1, FRAMES, 22, 3)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    bytes_a_frame = (peak(40) - peak(10)) / 30_000
    assert bytes_a_frame < 60, 'the indices of windows; motion takes 132, as floats 264'


def test_upper_bodies_give_the_baseline_that_is_told_of_them(recorded: Path) -> None:
    """Zero velocity has the ADE and FDE that the README of the data gives (8 joints, root)."""
    archive = load_archive(recorded / 'hrc_upper.npz')
    windows = cut_windows(archive, SMPL, 60, frames=150, stride=30, partial=True)
    average, final = [], []
    for indices in np.array_split(np.arange(len(windows)), 24):
        motion = windows.batch(indices)
        seen = motion[:, :30]
        nothing = np.zeros(seen.shape[:3], bool)
        way = motion[:, 30:] - complete(seen, nothing, SMPL, 60).frames[:, -1:]
        distance = norm((way[:, :, 1:] - way[:, :, :1]).flatten(2))
        average.append(mean(distance, 1))
        final.append(distance[:, -1])
    assert torch.cat(average).mean().item() == pytest.approx(0.317, abs=5e-4)
    assert torch.cat(final).nanmean().item() == pytest.approx(0.488, abs=1e-3)
