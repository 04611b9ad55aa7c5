"""What every importer does with motion: choose people, turn, resample, map joints, write."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import ArchiveError, save_archive
from motion_predictor.skeleton import JointMap, Layout, LayoutError, known_layouts

FloatArray = NDArray[np.float32]

MAX_RATE_HZ = 1000.0
PLAUSIBLE_SIZE_M = (0.3, 3.0)
SAME_FRAME = 1e-6


@dataclass(frozen=True)
class Clip:
    """One person's motion without a break."""

    name: str
    subject: str
    category: str
    motion: FloatArray  # (T, J, 3) metres, z up, NaN = not measured


def layout_named(name: str) -> Layout:
    """Return a layout that ships with the package.

    Raises:
        ArchiveError: if there is none of that name.
    """
    layouts = known_layouts()
    if name not in layouts:
        raise ArchiveError(f"there is no layout '{name}': known are {', '.join(sorted(layouts))}")
    return layouts[name]


def plain_layout(joint_names: Sequence[str]) -> Layout:
    """Return a layout of joints of which only the names are known: the first is the parent."""
    if len(joint_names) < 2 or len(set(joint_names)) != len(joint_names):
        raise ArchiveError(f'two joints or more are needed, each named once: {list(joint_names)}')
    root, *others = joint_names
    return Layout(name='joints', joints={root: None, **dict.fromkeys(others, root)})


def is_wanted(subject: str, wanted: Sequence[str] | None) -> bool:
    """Whether a subject was asked for: by name, or as all below a name (CMU asks for CMU/01)."""
    return wanted is None or any(f'{subject}/'.startswith(f'{name}/') for name in wanted)


def check_subjects(wanted: Sequence[str] | None, available: Iterable[str], source: Path) -> None:
    """Refuse to split by people whom a source does not have.

    Raises:
        ArchiveError: naming those who are missing and those who are there.
    """
    there = sorted(set(available))
    missing = [name for name in wanted or () if not any(is_wanted(s, [name]) for s in there)]
    if missing:
        listed = ', '.join(there[:20]) + (', ...' if len(there) > 20 else '')
        raise ArchiveError(f'{source} has no subject {", ".join(missing)}: it has {listed}')


def z_up(motion: FloatArray, up: str) -> FloatArray:
    """Turn motion (..., 3) whose y or z points up so that z does; right-handed stays so."""
    if up == 'z':
        return motion
    x, y, z = np.moveaxis(motion, -1, 0)
    return np.stack([x, -z, y], axis=-1)


def read_at(motion: FloatArray, places: NDArray[np.float64]) -> FloatArray:
    """Read motion (T, J, 3) at fractional frames (F,), linearly in between: (F, J, 3).

    Between a frame that has a joint and one that lacks it, the joint is missing (NaN).
    """
    nearest = np.round(places)
    places = np.where(np.abs(places - nearest) < SAME_FRAME, nearest, places)
    left = np.clip(np.floor(places).astype(np.int64), 0, len(motion) - 1)
    share = (places - left).astype(np.float32)[:, None, None]
    right = np.minimum(left + 1, len(motion) - 1)
    mixed = motion[left] * (1 - share) + motion[right] * share
    return np.where(share == 0, motion[left], mixed)


def at_rate(motion: FloatArray, rate_hz: float, wanted_hz: float) -> FloatArray:
    """Resample motion (T, J, 3) from one rate to another."""
    if rate_hz == wanted_hz:
        return motion
    count = int((len(motion) - 1) * wanted_hz / rate_hz + SAME_FRAME) + 1
    return read_at(motion, np.arange(count, dtype=np.float64) * (rate_hz / wanted_hz))


def in_layout(
    source: Path,
    motion: FloatArray,
    common_names: Sequence[str],
    layout: Layout,
    make_missing: bool,
    source_layout: Layout | None = None,
) -> FloatArray:
    """Bring motion (T, J, 3) of joints given by common name into a layout: (T, J_layout, 3).

    Args:
        source: where the motion is from.
        motion: z up.
        common_names: of its J joints.
        layout: wanted.
        make_missing: whether joints that are not there are made of others by the layout's
            recipes. Those that are neither there nor made are NaN.
        source_layout: whose the joints are, if it is known, with recipes of its own.

    Raises:
        ArchiveError: if none of the joints is one of the layout's, or two are the same one.
    """
    wanted = [layout.common_name(joint) for joint in layout.joints]
    within_reach = set(common_names)
    makes = source_layout.makes if source_layout else {}
    recipes = {layout.common_name(joint): recipe for joint, recipe in layout.made_from.items()}
    recipes |= makes
    while make_missing:
        made = {n for n, r in recipes.items() if within_reach.issuperset(r.points)} - within_reach
        if not made:
            break
        within_reach |= made
    if not within_reach & set(wanted):
        raise ArchiveError(
            f'{source}: none of the joints {", ".join(common_names)} is one of {layout.name}'
        )
    absent = [name for name in wanted if name not in within_reach]
    names = [*common_names, *absent]
    nowhere = np.full((len(motion), len(absent), 3), np.nan, np.float32)
    try:
        joint_map = JointMap.between(names, layout, makes if make_missing else None)
    except LayoutError as error:
        raise ArchiveError(f'{source}: {error}') from error
    return joint_map(np.concatenate([motion, nowhere], axis=1))


def write_clips(
    out: Path, clips: Sequence[Clip], layout: Layout, rate_hz: float, source: str
) -> str:
    """Write clips as a motion archive and return one line on what it holds.

    Raises:
        ArchiveError: if there are none, or no joint was measured.
    """
    frames = sum(len(clip.motion) for clip in clips)
    seen = sum(int(np.isfinite(clip.motion).all(axis=-1).sum()) for clip in clips)
    if clips and not seen:
        raise ArchiveError(f'no joint of any frame for {out} was measured')
    text = {
        'clip_names': [clip.name for clip in clips],
        'subject': [clip.subject for clip in clips],
        'category': [clip.category for clip in clips],
        'source': [source] * len(clips),
    }
    save_archive(out, [clip.motion for clip in clips], layout, rate_hz, text)
    _warn_of_size(clips)
    joints = len(layout.joints)
    return (
        f'{out}: {len(clips)} clips, {frames / rate_hz / 60:.1f} min at {rate_hz:g} Hz, '
        f'{joints} joints ({layout.name}), {1 - seen / (frames * joints):.1%} masked'
    )


def _warn_of_size(clips: Sequence[Clip]) -> None:
    """Say so if people are too small or large for their positions to be metres."""
    poses = [pose for clip in clips for pose in clip.motion[:: max(1, len(clip.motion) // 8)]]
    seen = [pose[np.isfinite(pose).all(axis=-1)] for pose in poses]
    size = float(np.median([np.ptp(pose, axis=0).max() for pose in seen if len(pose)] or [0.0]))
    least, most = PLAUSIBLE_SIZE_M
    if not least <= size <= most:
        print(
            f'prepare: people measure {size:.3g} m from end to end: is that the right unit?',
            file=sys.stderr,
        )
