"""Joins motion archives into one archive: all people, or chosen people."""

from collections.abc import Sequence
from pathlib import Path

from motion_predictor.archive import ArchiveError, load_archive
from motion_predictor_training.data.importers.clips import (
    Clip,
    check_subjects,
    is_wanted,
    write_clips,
)


def join_archives(
    sources: Sequence[Path], subjects: Sequence[str] | None, without: Sequence[str], out: Path
) -> str:
    """Join archives that have the same joints and rate into one archive.

    Args:
        sources: motion archives to join.
        subjects: names of people to keep. If no names are given, all people are kept.
        without: names of people to leave out.
        out: archive to write.

    Raises:
        ArchiveError: if an archive cannot be read, has other joints or another rate than the first
            archive, or if no archive contains a named person.
    """
    archives = [load_archive(source) for source in sources]
    first = archives[0]
    for source, archive in zip(sources, archives, strict=True):
        same = (archive.joint_names, archive.parents) == (first.joint_names, first.parents)
        if not same or archive.rate_hz != first.rate_hz:
            raise ArchiveError(
                f'{source} has other joints or another rate than {sources[0]}: bring both '
                'to one layout and rate first'
            )
    there = {subject for archive in archives for subject in archive.subjects}
    check_subjects(list(subjects or ()) + list(without) or None, there, sources[0])
    clips = [
        Clip(
            archive.clip_names[index],
            archive.subjects[index],
            archive.categories[index],
            archive.clip(index),
        )
        for archive in archives
        for index in range(len(archive))
        if is_wanted(archive.subjects[index], subjects)
        and not (without and is_wanted(archive.subjects[index], without))
    ]
    return write_clips(out, clips, first.layout, first.rate_hz, 'motion_predictor')
