"""Writes the results of an evaluation as tables, Markdown and JSON."""

import json
from pathlib import Path
from typing import Any

from motion_predictor_training.evaluation.report import tables


def table(result: dict[str, Any]) -> str:
    """Return the results of `evaluate_checkpoint` as tables for a terminal.

    The text is valid Markdown.
    """
    parts = [tables.figures(result), *tables.world(result)]
    parts += [tables.world_groups(kind, result) for kind in result['groups']]
    if 'scores' in result:
        parts.append(tables.scores(result))
    if 'sets' in result:
        parts += [tables.sets(result), tables.sets_least(result)]
    parts += [tables.groups(kind, groups) for kind, groups in result['groups'].items()]
    parts.append(tables.baseline_wins(result))
    return '\n\n'.join(parts)


def markdown(result: dict[str, Any]) -> str:
    """Return the results of `evaluate_checkpoint` as a Markdown page."""
    about = (
        f'`{result["checkpoint"]}` on {result["windows"]} windows of {result["clips"]} clips of '
        f'the archive {result["archive"]}, one every {result["stride"]} frames, best of '
        f'{result["samples"]} samples, multimodal threshold {result["multimodal_threshold"]:g} m. '
        'Distances of poses (ADE, FDE, ...) are L2 norms over the whole pose relative to its '
        f'root, in metres. Intervals are of {result["world"]["level"]:.0%}, over clips within '
        'people.'
    )
    if result['measured'] < 1:
        about += (
            f' {result["measured"]:.1%} of the joints were measured: nothing else counts, and '
            'histories are completed as the node completes them.'
        )
    baselines = '; '.join(f'{name}: {how}' for name, how in result['world']['baselines'].items())
    parts = ['# Evaluation', about, f'Baselines in the world: {baselines}.', table(result)]
    if 'scores' in result:
        parts += [tables.scores_groups(kind, result) for kind in result['groups']]
    if 'sets' in result:
        parts += [tables.sets_groups(kind, result) for kind in result['groups']]
        parts.append(tables.extremities(result))
    parts.append(tables.joints(result))
    return '\n\n'.join(parts) + '\n'


def write_json(result: dict[str, Any], path: Path) -> None:
    """Write a result as JSON, for programs."""
    write_text(json.dumps(result, indent=2) + '\n', path)


def write_markdown(result: dict[str, Any], path: Path) -> None:
    """Write a result as a Markdown page, for people."""
    write_text(markdown(result), path)


def write_text(text: str, path: Path) -> None:
    """Write a text to a file. The folder of the file is created if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
