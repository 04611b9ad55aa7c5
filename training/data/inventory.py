"""The content of a motion archive: minutes, people, categories, and overlap with others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from motion_predictor.archive import MotionArchive, load_archive


def inventory(path: Path, others: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the content of an archive.

    Args:
        path: the archive.
        others: archives to search for the same people and clips.

    Returns:
        `minutes`, `clips`, `rate_hz`, `joints`, `layout` (`archive` if it is not a known one),
        `measured` (the share of joints), minutes `by_person` and `by_category`, and `overlap`.
        The last has for each of the others the `people` of the same name, and the number of
        `clips` that are the same to the millimetre.

    Raises:
        ArchiveError: if an archive cannot be read.
    """
    archive = load_archive(path)
    minutes = [len(archive.clip(i)) / archive.rate_hz / 60 for i in range(len(archive))]
    known = sum(float(np.isfinite(archive.clip(i)).all(-1).sum()) for i in range(len(archive)))
    joints = len(archive.joint_names)
    return {
        'archive': archive.fingerprint,
        'minutes': sum(minutes),
        'clips': len(archive),
        'rate_hz': archive.rate_hz,
        'joints': joints,
        'layout': archive.layout.name,
        'measured': known / (sum(minutes) * archive.rate_hz * 60 * joints),
        'by_person': _sums(archive.subjects, minutes),
        'by_category': _sums(archive.categories, minutes),
        'overlap': {str(other): _overlap(archive, load_archive(other)) for other in others},
    }


def inventory_table(found: dict[str, Any]) -> str:
    """Return the content of an archive as a table for a terminal; it is valid Markdown."""
    lines = [
        ['archive', found['archive']],
        ['minutes', f'{found["minutes"]:.1f}'],
        ['clips', found['clips']],
        ['frames a second', f'{found["rate_hz"]:g}'],
        ['joints', f'{found["joints"]}, layout {found["layout"]}'],
        ['joints measured', f'{found["measured"]:.1%}'],
    ]
    for kind in ('person', 'category'):
        for name, minutes in found[f'by_{kind}'].items():
            lines.append([f'{kind} {name or "not named"}', f'{minutes:.1f} minutes'])
    for other, overlap in found['overlap'].items():
        people = ', '.join(overlap['people']) or 'nobody'
        lines.append([f'also in {other}', f'{people}; {overlap["clips"]} clips'])
    return tabulate(lines, ['', ''], 'github', disable_numparse=True)


def _sums(names: Sequence[str], minutes: Sequence[float]) -> dict[str, float]:
    """Return the minutes of each name, the longest first."""
    sums: dict[str, float] = {}
    for name, of_clip in zip(names, minutes, strict=True):
        sums[name] = sums.get(name, 0.0) + of_clip
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def _overlap(archive: MotionArchive, other: MotionArchive) -> dict[str, Any]:
    both = sorted((set(archive.subjects) & set(other.subjects)) - {''})
    return {'people': both, 'clips': len(_prints(archive) & _prints(other))}


def _prints(archive: MotionArchive) -> set[bytes]:
    """Return a key of the motion of each clip, rounded to millimetres."""
    clips = (archive.clip(i) for i in range(len(archive)))
    return {np.round(np.nan_to_num(clip) * 1000).astype(np.int32).tobytes() for clip in clips}
