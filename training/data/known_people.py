"""People whom a checkpoint knows: those used for it or for its ancestors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Header

SEEN, UNSEEN, NOT_RECORDED = 'seen', 'unseen', 'not recorded'


@dataclass(frozen=True)
class Known:
    """People and archives that a checkpoint was trained, fitted or calibrated on."""

    archives: frozenset[str]
    """Fingerprints of the archives."""
    people: frozenset[str]
    """Names of the people. A person of the same name in another archive counts as known, too."""
    trained: frozenset[str]
    """The people to whose motion the weights were fitted."""
    whole: bool
    """Whether every stage has recorded its people. If so, nobody else was used."""

    @classmethod
    def to(cls, header: Header) -> 'Known':
        """Return whom a checkpoint knows, by its provenance and that of its ancestors."""
        archives: set[str] = set()
        people: set[str] = set()
        trained: set[str] = set()
        whole = bool(header.provenance)
        stages: list[dict[str, Any]] = [header.provenance]
        while stages:
            stage = stages.pop()
            data = stage.get('data', {})
            archives.update(data.values())
            names = stage.get('people')
            whole &= names is not None and '' not in names
            people.update(names or ())
            trained.update(stage.get('trained', ()))
            if calibration := stage.get('calibration'):
                archives.update([*calibration['data'], *calibration['trained_on']])
                names = calibration.get('people')
                whole &= names is not None and '' not in names
                people.update(names or ())
            ancestors = [*stage.get('committee', ())]
            ancestors += [stage['parent']] if 'parent' in stage else []
            stages += [ancestor['provenance'] for ancestor in ancestors]
        return cls(frozenset(archives), frozenset(people), frozenset(trained), whole)

    def also(self, people: Sequence[str]) -> 'Known':
        """Return a copy with more people. If there are any, the list counts as complete."""
        more = self.people | set(people)
        return Known(self.archives, more, self.trained, self.whole or bool(people))

    def learnt_from(self, archive: MotionArchive) -> list[bool]:
        """Return for each clip of an archive whether the weights were fitted to that person.

        Clips without a name count as learnt from. If the checkpoint names nobody, all clips do.
        """
        named = self.trained - {''}
        return [not (named and name) or name in named for name in archive.subjects]

    def of(self, archive: MotionArchive) -> dict[str, str]:
        """Return SEEN, UNSEEN or NOT_RECORDED for each subject of an archive ('': no name)."""
        found = {}
        for subject in sorted(set(archive.subjects)):
            if archive.fingerprint in self.archives or (subject and subject in self.people):
                found[subject] = SEEN
            else:
                found[subject] = UNSEEN if self.whole and subject else NOT_RECORDED
        return found


def people_in(*archives: MotionArchive) -> list[str]:
    """Return the names of everybody in archives; '' stands for those without one."""
    return sorted({subject for archive in archives for subject in archive.subjects})
