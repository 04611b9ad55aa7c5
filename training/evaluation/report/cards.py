"""Model cards: size, training and data of checkpoints, read from their headers."""

from collections.abc import Iterator, Sequence
from typing import Any

from motion_predictor.checkpoint import Checkpoint, Header

Cells = list[str]


def cards(checkpoints: Sequence[Checkpoint]) -> list[Cells]:
    """Return the rows of a table of model cards, with one column for each checkpoint."""
    columns = [_card(checkpoint) for checkpoint in checkpoints]
    return [[name, *(column[name] for column in columns)] for name in columns[0]]


def _card(checkpoint: Checkpoint) -> dict[str, str]:
    header = checkpoint.header
    made = header.provenance
    calibration = made['calibration']
    trained = sorted(made['trained'])
    weights = sum(tensor.numel() for tensor in checkpoint.tensors.values())
    window = header.window
    return {
        'network': f'{_network(header)}, {weights / 1e6:.1f} million weights',
        'sees and predicts': f'{window.history_frames} and {window.future_frames} frames at '
        f'{window.rate_hz:g} Hz of `{header.layout.name}`',
        'every other sample': 'of the mirror image' if header.symmetric else 'alike',
        'stages: steps x windows': ', '.join(_stages(made)),
        'learnt from': f'{len(trained)} people: {", ".join(trained)}',
        'calibrated on': ', '.join(sorted(calibration['people'])),
        'coverages': ', '.join(f'{coverage:g}' for coverage in calibration['coverages']),
        'made': f'{made["date"]}, torch {made["torch"]}',
    }


def _network(header: Header) -> str:
    network = header.network.model_dump()
    trunk = f'{network["kind"]} {network["layers"]}x{network["width"]}'
    branch = f' + {network["branch_layers"]}x{network["branch_width"]}'
    return trunk + (branch if 'branch_layers' in network else '')


def _stages(made: dict[str, Any]) -> Iterator[str]:
    """Yield the training stages in order. For a committee, only its size is given."""
    if 'parent' in made:
        yield from _stages(made['parent']['provenance'])
    configuration = made['configuration']
    optimisation = configuration['optimisation']
    objective = configuration.get('objective')
    name = 'refine' if objective else configuration['name'].replace('default', 'student')
    stage = f'{name} {optimisation["steps"]}x{optimisation["batch"]}'
    members = len(made.get('committee', ()))
    yield stage + (f' (committee of {members})' if members else '')
