"""What a checkpoint says of how it was made."""

import platform
import time
from typing import Any

import torch
from pydantic import BaseModel

import motion_predictor
from motion_predictor.archive import MotionArchive


def provenance(config: BaseModel, archives: dict[str, MotionArchive]) -> dict[str, Any]:
    """Return the configuration, the data's fingerprints and the versions in use."""
    return {
        'configuration': config.model_dump(mode='json'),
        'data': {role: archive.fingerprint for role, archive in archives.items()},
        'motion_predictor': motion_predictor.__version__,
        'torch': torch.__version__,
        'python': platform.python_version(),
        'date': time.strftime('%Y-%m-%d', time.gmtime()),
    }
