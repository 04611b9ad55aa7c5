"""Split conformal calibration: a radius that holds a joint as often as it says.

The score of a joint of a window is the error of the mean over what was to be expected: the spread
of the samples, and a share of the way that somebody who is walking would go. Its quantile over
calibration windows and joints scales that to the radius, for each frame and each number of samples
that the predictor may draw (Vovk et al., Algorithmic Learning in a Random World; Lei et al. 2018).

The joints of a frame have one scale, and only the spread tells them apart. Scales of their own fit
the habits of the few people that there are to calibrate on: those of one man held the ankles and
feet of three others 56 % of the time, one scale for all joints 94 %.
"""

import math
from pathlib import Path

import torch
from torch import Tensor

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Calibration, load_checkpoint
from motion_predictor.model.statistics import speed_of, spread_of
from motion_predictor_training.config import CalibrationConfig, ConfigError
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.prediction import predict_windows, predictor_of


def calibrate(
    config: CalibrationConfig, checkpoint_path: Path, archive_path: Path, out: Path
) -> None:
    """Calibrate a checkpoint on an archive it was not trained on and write the result.

    Raises:
        ConfigError: if there are too few windows for the coverage asked for.
    """
    checkpoint = load_checkpoint(checkpoint_path)
    header = checkpoint.header
    archive = load_archive(archive_path)
    windows = model_windows(archive, header, config.stride)
    rank = math.ceil((len(windows) + 1) * config.coverage)
    if rank > len(windows):
        raise ConfigError(
            f'{len(windows)} windows are too few for a coverage of {config.coverage}: '
            f'{math.ceil(config.coverage / (1 - config.coverage))} are needed'
        )
    scores: dict[int, list[Tensor]] = {samples: [] for samples in config.samples}
    predictor = predictor_of(checkpoint, max(config.samples))
    calibration = Calibration(
        coverage=config.coverage,
        floor_m=config.floor_m,
        travel_share=config.travel_share,
        samples=tuple(scores),
    )
    for predicted in predict_windows(predictor, windows):
        speed = speed_of(predicted.history.numpy(), header.window.rate_hz)
        for samples, rung in scores.items():
            drawn = predicted.samples[:, :samples]  # fewer samples are the first of more
            mean = drawn.mean(1)
            spread = spread_of(drawn, mean).numpy()
            expected = calibration.uncertainty(spread, speed, predictor.times)
            error = torch.linalg.vector_norm(predicted.future - mean, dim=-1)
            rung.append(error / torch.from_numpy(expected))  # (B, F, J)
    scale = torch.stack([_quantile(torch.cat(rung), rank) for rung in scores.values()])  # (R, F)
    provenance = header.provenance | {
        'calibration': {'data': archive.fingerprint, **config.model_dump(mode='json')}
    }
    checkpoint.header = header.model_copy(
        # What was measured before was measured with other radii.
        update={'calibration': calibration, 'provenance': provenance, 'metrics': {}}
    )
    checkpoint.tensors['calibration.scale'] = scale
    checkpoint.save(out)


def _quantile(scores: Tensor, rank: int) -> Tensor:
    """Return what holds the scores (W, F, J) of as many joints as `rank` windows have, (F,)."""
    joints = scores.shape[2]
    return scores.transpose(1, 2).flatten(0, 1).kthvalue(rank * joints, dim=0).values
