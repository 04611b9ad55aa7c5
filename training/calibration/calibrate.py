"""Conditional conformal calibration: balls with the promised coverage in every state of motion.

First a model of the expected error is fitted (`fit_expected_error`). A score is an error divided
by the expected error. For the score of a person, the expected error comes from a model that was
fitted without this person. The scores are grouped, and the quantiles of the groups are the factors
(`conformal`, `fit_sets`). A further margin covers people whose scores were not used for the
factors. Each person has the same weight. doc/sets.md says what is promised.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from motion_predictor.archive import MotionArchive, load_archive
from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.uncertainty.calibration import Calibration, parts_of
from motion_predictor_training.calibration.conformal import carries
from motion_predictor_training.calibration.errors import knots_of, score, together
from motion_predictor_training.calibration.fit_familiarity import with_familiarity
from motion_predictor_training.calibration.fit_sets import fit_sets
from motion_predictor_training.config import CalibrationConfig, ConfigError
from motion_predictor_training.data.known_people import Known, people_in
from motion_predictor_training.predicting.every_window import predictor_of


def calibrate(
    config: CalibrationConfig,
    checkpoint_path: Path,
    archives: Sequence[Path],
    trained_on: Sequence[Path],
    out: Path,
) -> str:
    """Calibrate a checkpoint and write the result.

    Args:
        config: settings of the calibration.
        checkpoint_path: checkpoint to calibrate.
        archives: motion archives of people whom the network was not trained on.
        trained_on: archives that the network was trained on; may be empty. More people make the
            calibration more reliable. If the network predicts people that it was trained on better
            than other people, the errors of people that it was trained on are scaled up. These
            archives may also contain other people, if the checkpoint names the people it was
            trained on.
        out: path of the calibrated checkpoint to write.

    Returns:
        A table of the coverage for people who were left out of the fit.

    Raises:
        ConfigError: if there are too few windows even for the lowest coverage, or if the network
            was trained on a person in `archives`.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    header = checkpoint.header
    samples = sorted(config.samples, reverse=True)
    predictor = predictor_of(checkpoint, samples[0])
    others = [load_archive(path) for path in archives]
    known = Known.to(header)
    _require_unseen(known, others, archives)
    learnt = [load_archive(path) for path in trained_on]
    given = [(archive, [False] * len(archive)) for archive in others]
    given += [(archive, known.learnt_from(archive)) for archive in learnt]
    scores = together(
        [score(predictor, archive, samples, config, trained) for archive, trained in given]
    )
    windows = float(scores.share.sum())
    coverages = sorted(c for c in config.coverages if carries(c, windows))
    if not coverages:
        least = min(config.coverages)
        raise ConfigError(
            f'a coverage of {least} needs {np.ceil(least / (1 - least)):.0f} windows half '
            f'a second apart, but the archives have only {windows:.0f}: give more '
            'recordings'
        )
    calibration = Calibration(
        kind='floored',
        coverages=tuple(coverages),
        samples=tuple(samples),
        frames=knots_of(header.window.future_frames),
        speeds=tuple(config.speeds),
        body_speeds=tuple(config.body_speeds),
        paces=tuple(config.paces),
        people=len(np.unique(scores.people)),
        windows=max(1, round(windows)),
    )
    tensors, left_out = fit_sets(scores, calibration, parts_of(header.layout), config)
    fitted = {name: torch.from_numpy(values) for name, values in tensors.items()}
    result = checkpoint.calibrated(calibration, fitted)
    result = with_familiarity(result, [*others, *learnt], config)
    facts = {
        'data': [archive.fingerprint for archive in others],
        'trained_on': [archive.fingerprint for archive in learnt],
        'people': people_in(*others, *learnt),
        'left_out': left_out.facts(),
        **config.model_dump(mode='json'),
    }
    result.header = result.header.model_copy(
        # The stored metrics were measured with other radii, so they are deleted.
        update={'provenance': header.provenance | {'calibration': facts}, 'metrics': {}}
    )
    result.save(out)
    return left_out.table(header.window.rate_hz)


def _require_unseen(
    known: Known, archives: Sequence[MotionArchive], paths: Sequence[Path]
) -> None:
    """Raise ConfigError if the checkpoint was trained on a person in the archives.

    A checkpoint that does not name the people it was trained on is accepted.
    """
    for archive, path in zip(archives, paths, strict=True):
        if seen := sorted((known.trained - {''}).intersection(archive.subjects)):
            raise ConfigError(
                f'the network was trained on {", ".join(seen)} of {path}, so their errors '
                'are too small to calibrate with: give the archive under --train'
            )
