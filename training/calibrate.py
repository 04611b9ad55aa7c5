"""Split conformal calibration: a radius that holds a joint as often as it says.

The score of a window is the error of the mean over what was to be expected, per joint and horizon:
the spread of the samples, and a share of the way that somebody who is walking would go. Its
quantile over calibration windows scales that to the radius, for each number of samples that the
predictor may draw (Vovk et al., Algorithmic Learning in a Random World; Lei et al. 2018).
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
    scale = torch.stack(
        [torch.cat(rung).kthvalue(rank, dim=0).values for rung in scores.values()]
    )  # (R, F, J)
    provenance = header.provenance | {
        'calibration': {'data': archive.fingerprint, **config.model_dump(mode='json')}
    }
    checkpoint.header = header.model_copy(
        update={'calibration': calibration, 'provenance': provenance}
    )
    checkpoint.tensors['calibration.scale'] = scale
    checkpoint.save(out)
