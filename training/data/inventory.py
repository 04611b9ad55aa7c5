"""Summarises a motion archive: minutes, people, categories, and overlap with other archives."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from motion_predictor.archive import MotionArchive, load_archive


def inventory(path: Path, others: Sequence[Path] = ()) -> dict[str, Any]:
    """Return a summary of the content of an archive.

    Args:
        path: motion archive to summarise.
        others: other archives, to be searched for the same people and clips.

    Returns:
        A dictionary with these entries:

        - `archive`: fingerprint of the archive.
        - `minutes`, `clips`, `joints`: their numbers in the archive.
        - `rate_hz`: frames per second.
        - `layout`: name of the layout; `archive` if it is no known layout.
        - `measured`: share of joint positions that were measured.
        - `by_person`, `by_category`: minutes of each person and of each category.
        - `overlap`: for each other archive, the `people` with the same name in both archives, and
          the number of `clips` that are identical to the millimetre.

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
    """Return a summary from `inventory` as a table for a terminal, valid Markdown."""
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
    """Return the total minutes of each person or category, the longest first."""
    sums: dict[str, float] = {}
    for name, of_clip in zip(names, minutes, strict=True):
        sums[name] = sums.get(name, 0.0) + of_clip
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def _overlap(archive: MotionArchive, other: MotionArchive) -> dict[str, Any]:
    both = sorted((set(archive.subjects) & set(other.subjects)) - {''})
    return {'people': both, 'clips': len(_prints(archive) & _prints(other))}


def _prints(archive: MotionArchive) -> set[bytes]:
    """Return each clip as bytes, rounded to millimetres, to find identical clips."""
    clips = (archive.clip(i) for i in range(len(archive)))
    return {np.round(np.nan_to_num(clip) * 1000).astype(np.int32).tobytes() for clip in clips}
