"""Compares networks of the published sizes with our networks.

The comparison gives the times of predictions, and the speed as a share of the machine's peak.
"""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from motion_predictor.archive import MotionArchive
from motion_predictor.checkpoint import Checkpoint
from motion_predictor_benchmark.contenders import Contender, contenders, cut_histories
from motion_predictor_benchmark.timing import Timing, side_by_side
from motion_predictor_training.learning.official import Kind, official_header
from motion_predictor_training.predicting.multi_step import build_sampler

PUBLISHED: tuple[tuple[Kind, str], ...] = (
    ('swiftdiff', 'amass'),
    ('swiftdiff', 'amass-balance'),
    ('swiftdiff', 'h36m'),
    ('transfusion', 'amass'),
    ('transfusion', 'h36m'),
)

Row = dict[str, Any]


def fresh(kind: Kind, preset: str, **fields: Any) -> Checkpoint:
    """Return a network of published size with untrained weights.

    Untrained weights predict nothing useful, but take the same time as trained weights. The
    weights of the output layer are zero, so reduced precision makes no error, and no engine is
    refused. So a network of published size is measured in every engine. With trained weights, some
    engines might be refused.
    """
    header = official_header(kind, preset, **fields)
    torch.manual_seed(0)
    weights = header.network.build(header.features, header.window.coefficients).state_dict()
    return Checkpoint(header, {f'network.{name}': value for name, value in weights.items()})


def load_published(
    folder: Path, archive: MotionArchive, backends: list[str] | None, device: str, samples: int
) -> tuple[list[Contender], list[Row]]:
    """Load one-step networks of all published sizes in every engine, with precision 'auto'."""
    running, refused = [], []
    for kind, preset in PUBLISHED:
        checkpoint = fresh(kind, preset)
        path = folder / f'{kind}-{preset}.safetensors'
        checkpoint.save(path)
        sizes = checkpoint.header.network
        name = f'{kind} {preset} {sizes.layers}x{sizes.width}'
        of_size = contenders(name, path, archive, backends, device, samples, ['auto'])
        running += of_size[0]
        refused += of_size[1]
    return running, refused


def gigaflops(contender: Contender) -> float:
    """Return how many 10^9 floating-point operations the prediction of one person takes.

    The operations are counted in the torch module, without an engine.
    """
    predictor = contender.predictor
    header = predictor.checkpoint.header
    noise = torch.zeros(predictor.samples, header.window.coefficients, header.features)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        predictor.checkpoint.build()(torch.from_numpy(contender.histories[:1]), noise)
    return counter.get_total_flops() / 1e9


def compare(
    ours: list[Contender], published: list[Contender], peak: dict[str, float], calls: int
) -> list[Row]:
    """Time our networks and networks of published sizes in turns, without pauses.

    Args:
        ours: our networks, including the default checkpoint.
        published: networks of published sizes.
        peak: speed of matrix products on this machine in GFLOP/s, by precision.
        calls: number of calls of each network.
    """
    everything = [*ours, *published]
    timings = side_by_side({c.label: c.predict for c in everything}, calls, 0.0, 'published sizes')
    rows = []
    for c in everything:
        work = gigaflops(c)
        reached = 1000 * work / timings[c.label].median_ms
        most = peak.get(c.predictor.engine.precision)
        rows.append(
            c.about
            | asdict(timings[c.label])
            | {
                'gflop': work,
                'gflop_per_s': reached,
                'share_of_peak': reached / most if most else None,
            }
        )
    return rows


def many_steps(archive: MotionArchive, device: torch.device, samples: int, steps: int) -> Row:
    """Run a teacher of published size once through all denoising steps, and time each step."""
    checkpoint = fresh('transfusion', 'amass', sampling='ddim', ddim_steps=steps)
    sampler = build_sampler(checkpoint).to(device)
    history = torch.from_numpy(cut_histories(archive, checkpoint)[:1]).to(device)
    window = checkpoint.header.window
    noise = torch.randn(samples, window.coefficients, checkpoint.header.features, device=device)
    moments_s = [0.0]

    def note(module: Any, arguments: Any, output: torch.Tensor) -> None:
        output.flatten()[0].item()  # waits until the device has computed the output
        moments_s.append(time.perf_counter())

    sampler.network.register_forward_hook(note)
    with torch.inference_mode():
        moments_s[0] = time.perf_counter()
        sampler(history, noise).cpu()
        whole_s = time.perf_counter() - moments_s[0]
    sizes = checkpoint.header.network
    return {
        'checkpoint': f'transfusion amass {sizes.layers}x{sizes.width}, {steps} steps',
        'engine': 'eager',
        'precision': 'float32',
        **asdict(Timing.of([1000 * whole_s])),
        'step': asdict(Timing.of((1000 * np.diff(moments_s)).tolist())),
    }


def with_ratios(rows: list[Row], reference: str = 'default') -> list[Row]:
    """Add to each row how many times faster the reference checkpoint is (ratio of the medians).

    `<reference>_is_faster` compares the row with the fastest engine of the reference checkpoint.
    `in_the_same_engine` compares the row with the reference checkpoint in the same engine and
    precision as the row.
    """
    engines = {(r['engine'], r['precision']): r for r in rows if r['checkpoint'] == reference}
    best_ms = min((row['median_ms'] for row in engines.values()), default=None)

    def ratios(row: Row) -> Row:
        same = engines.get((row['engine'], row['precision']))
        return {
            f'{reference}_is_faster': row['median_ms'] / best_ms if best_ms else None,
            'in_the_same_engine': row['median_ms'] / same['median_ms'] if same else None,
        }

    return [row | ratios(row) for row in rows]
