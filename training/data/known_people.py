"""Lists the people whose motion was used to make a checkpoint or one of its ancestors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Header

SEEN, UNSEEN, NOT_RECORDED = 'seen', 'unseen', 'not recorded'


@dataclass(frozen=True)
class Known:
    """The people and archives that a checkpoint was trained, fitted or calibrated on."""

    archives: frozenset[str]
    """Fingerprints of the archives."""
    people: frozenset[str]
    """Names of the known people. A person with the same name in another archive counts as known,
    too."""
    trained: frozenset[str]
    """Names of the people on whose motion the network was trained."""
    whole: bool
    """Whether every stage has recorded all its people by name. Only then is everybody else unknown
    to the checkpoint."""

    @classmethod
    def to(cls, header: Header) -> 'Known':
        """Return the people and archives that a checkpoint was made from, as its header says.

        The header also describes the ancestors of the checkpoint.
        """
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
        """Return a copy with more known people.

        If `people` is not empty, the list of known people then counts as complete (`whole`).
        """
        more = self.people | set(people)
        return Known(self.archives, more, self.trained, self.whole or bool(people))

    def learnt_from(self, archive: MotionArchive) -> list[bool]:
        """Return, for each clip of an archive, whether the network was trained on its person.

        The answer is also true for a clip without a person's name. If the checkpoint names no
        people, the answer is true for all clips.
        """
        named = self.trained - {''}
        return [not (named and name) or name in named for name in archive.subjects]

    def of(self, archive: MotionArchive) -> dict[str, str]:
        """Return whether each subject of an archive is SEEN, UNSEEN or NOT_RECORDED.

        The subject '' stands for people without a name.
        """
        found = {}
        for subject in sorted(set(archive.subjects)):
            if archive.fingerprint in self.archives or (subject and subject in self.people):
                found[subject] = SEEN
            else:
                found[subject] = UNSEEN if self.whole and subject else NOT_RECORDED
        return found


def people_in(*archives: MotionArchive) -> list[str]:
    """Return the names of all people in archives. '' stands for people without a name."""
    return sorted({subject for archive in archives for subject in archive.subjects})
