"""Steps that all importers share: choosing people, resampling, mapping joints, writing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motion_predictor.archive import ArchiveError, save_archive
from motion_predictor.common.terminal import complain
from motion_predictor.skeleton import JointMap, Layout, LayoutError, known_layouts

FloatArray = NDArray[np.float32]

MAX_RATE_HZ = 1000.0
PLAUSIBLE_SIZE_M = (0.3, 3.0)
SAME_FRAME = 1e-6


@dataclass(frozen=True)
class Clip:
    """Motion of one person, recorded without interruption."""

    name: str
    subject: str
    category: str
    motion: FloatArray  # (T, J, 3) metres, z up, NaN = not measured


def layout_named(name: str) -> Layout:
    """Return the layout of this name that ships with the package.

    Raises:
        ArchiveError: if no layout has that name.
    """
    layouts = known_layouts()
    if name not in layouts:
        raise ArchiveError(
            f"there is no layout '{name}': choose one of {', '.join(sorted(layouts))}"
        )
    return layouts[name]


def plain_layout(joint_names: Sequence[str]) -> Layout:
    """Return a layout for joints of which only the names are known.

    The first joint is the parent of all others.
    """
    if len(joint_names) < 2 or len(set(joint_names)) != len(joint_names):
        raise ArchiveError(
            f'expected two or more joints with different names, got {list(joint_names)}'
        )
    root, *others = joint_names
    return Layout(name='joints', joints={root: None, **dict.fromkeys(others, root)})


def is_wanted(subject: str, wanted: Sequence[str] | None) -> bool:
    """Whether a subject is wanted, by its name or by a folder above it (CMU for CMU/01)."""
    return wanted is None or any(f'{subject}/'.startswith(f'{name}/') for name in wanted)


def check_subjects(wanted: Sequence[str] | None, available: Iterable[str], source: Path) -> None:
    """Refuse the request for people whom a source does not contain.

    Raises:
        ArchiveError: if the source lacks a wanted name. The error message lists the missing and
            the available names.
    """
    there = sorted(set(available))
    missing = [name for name in wanted or () if not any(is_wanted(s, [name]) for s in there)]
    if missing:
        listed = ', '.join(there[:20]) + (', ...' if len(there) > 20 else '')
        raise ArchiveError(f'{source} has no subject {", ".join(missing)}: it has {listed}')


def z_up(motion: FloatArray, up: str) -> FloatArray:
    """Rotate motion (..., 3) so that z points up, if y is the `up` axis."""
    if up == 'z':
        return motion
    x, y, z = np.moveaxis(motion, -1, 0)
    return np.stack([x, -z, y], axis=-1)


def read_at(motion: FloatArray, places: NDArray[np.float64]) -> FloatArray:
    """Interpolate motion (T, J, 3) linearly at F fractional frame numbers (F, J, 3).

    Between two frames, a joint is missing (NaN) if either frame lacks the joint.
    """
    nearest = np.round(places)
    places = np.where(np.abs(places - nearest) < SAME_FRAME, nearest, places)
    left = np.clip(np.floor(places).astype(np.int64), 0, len(motion) - 1)
    share = (places - left).astype(np.float32)[:, None, None]
    right = np.minimum(left + 1, len(motion) - 1)
    mixed = motion[left] * (1 - share) + motion[right] * share
    return np.where(share == 0, motion[left], mixed)


def at_rate(motion: FloatArray, rate_hz: float, wanted_hz: float) -> FloatArray:
    """Resample motion (T, J, 3) from the frame rate `rate_hz` to `wanted_hz`."""
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
    """Map the joints of a motion to a layout by common names (T, J_layout, 3).

    Args:
        source: file that the motion is from, for error messages.
        motion: positions (T, J, 3), z up.
        common_names: common names of the J joints of the motion.
        layout: layout to map the joints to.
        make_missing: whether joints that the motion lacks are computed from other joints by the
            recipes of the layout. Joints that cannot be computed are NaN.
        source_layout: layout of the motion, if known. With `make_missing`, missing joints are also
            computed by the recipes of this layout.

    Raises:
        ArchiveError: if the layout has none of the motion's joints, or two of these joints have
            the same name.
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
            f'{source}: none of the joints {", ".join(common_names)} is in the layout '
            f'{layout.name}'
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
    """Write clips as a motion archive, and return a line that summarises the archive.

    Raises:
        ArchiveError: if there are no clips, or no joint was measured.
    """
    frames = sum(len(clip.motion) for clip in clips)
    seen = sum(int(np.isfinite(clip.motion).all(axis=-1).sum()) for clip in clips)
    if clips and not seen:
        raise ArchiveError(f'no joint was measured in any frame of {out}')
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
    """Warn if people are so small or large that positions are probably not in metres."""
    poses = [pose for clip in clips for pose in clip.motion[:: max(1, len(clip.motion) // 8)]]
    seen = [pose[np.isfinite(pose).all(axis=-1)] for pose in poses]
    size = float(np.median([np.ptp(pose, axis=0).max() for pose in seen if len(pose)] or [0.0]))
    least, most = PLAUSIBLE_SIZE_M
    if not least <= size <= most:
        complain(
            'train prepare',
            f'people seem to be {size:.3g} m long, so check the unit (metres are expected)',
        )
