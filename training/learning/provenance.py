"""Records in a checkpoint how it was made: settings, data, software and parent checkpoints."""

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

import motion_predictor
from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.common.installed import installed
from motion_predictor_training.config import ConfigError
from motion_predictor_training.data.known_people import people_in


def provenance(
    config: BaseModel,
    archive: MotionArchive,
    parent: Checkpoint | None = None,
    committee: Sequence[Checkpoint] = (),
) -> dict[str, Any]:
    """Return settings, data and software versions of a stage and of the stages before it.

    Args:
        config: settings of this training stage.
        archive: archive that the stage trains on.
        parent: teacher that the stage learns from, or checkpoint that the stage continues from.
        committee: checkpoints of the members, if the stage also learns from a committee.
    """
    configuration = config.model_dump(mode='json')
    causes = [configuration, archive.fingerprint, parent.sha256 if parent else None]
    causes += [member.sha256 for member in committee]
    ancestry: dict[str, Any] = {'parent': _facts(parent)} if parent else {}
    if committee:
        ancestry['committee'] = [_facts(member) for member in committee]
    return ancestry | {
        'identity': hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest(),
        'configuration': configuration,
        'data': {'train': archive.fingerprint},
        'people': people_in(archive),
        'trained': people_in(archive),
        **versions(),
        'date': time.strftime('%Y-%m-%d', time.gmtime()),
    }


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    return {'sha256': checkpoint.sha256, 'provenance': checkpoint.header.provenance}


def versions() -> dict[str, str | None]:
    """Return the versions of the software.

    `commit` is None if the software was not built from a commit.
    """
    built_from = installed('built_from.txt')
    return {
        'motion_predictor': motion_predictor.__version__,
        'commit': built_from.read_text().strip() if built_from.is_file() else None,
        'torch': torch.__version__,
        'python': platform.python_version(),
    }


def finished(out: Path, header_provenance: dict[str, Any]) -> Checkpoint | None:
    """Return the checkpoint of a stage if an earlier run has written it, else None.

    Raises:
        ConfigError: if the checkpoint was made with other settings, data or teacher.
    """
    if not out.exists():
        return None
    existing = load_checkpoint(out)
    if existing.header.provenance.get('identity') != header_provenance['identity']:
        raise ConfigError(
            f'{out} was made with other settings, data or teacher: remove it or write elsewhere'
        )
    return existing
