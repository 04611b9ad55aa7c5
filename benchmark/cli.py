"""The command line of the `benchmark` executable."""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from motion_predictor.archive import MotionArchive, open_archive
from motion_predictor.checkpoint import shipped_checkpoints
from motion_predictor.common.arguments import Parser, whole
from motion_predictor.common.terminal import complain, remarks_of, say, say_written
from motion_predictor.engines.choice import BACKENDS
from motion_predictor_benchmark import model, planning, published, training
from motion_predictor_benchmark.contenders import Contender, contenders
from motion_predictor_benchmark.machine import describe, matrix_peak
from motion_predictor_benchmark.report import plot, tables
from motion_predictor_benchmark.timing import Timing
from motion_predictor_training.evaluation.report.writing import write_json

SECTIONS = ('model', 'scaling', 'published', 'planning', 'training', 'end-to-end')
PREDICTING = {'model', 'scaling', 'published'}
"""Sections that run the network in this process."""
QUICK = {'calls': 4, 'seconds': 2.0, 'people': (0, 1), 'steps': 2}
"""Settings that `--quick` changes."""


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog='benchmark',
        description='Measure engines, published sizes, training, planning and the whole node.',
    )
    add = parser.add_argument
    add('--archive', default='bundled', help='motion to predict: "bundled" or a .npz file')
    add('--checkpoint', type=Path, action='append', default=[],
        help='another checkpoint to measure beside those that ship')  # fmt: skip
    add(
        '--only', type=_sections, default=SECTIONS, metavar='SECTION,...', help=', '.join(SECTIONS)
    )
    add('--backend', action='append', choices=[b for b in BACKENDS if b not in ('auto', 'eager')],
        help='engine to measure besides eager (default: all for the device)')  # fmt: skip
    add('--eager', action='store_const', dest='backend', const=[], help='measure eager alone')
    add('--device', default='auto', help='cpu, cuda, ... or auto')
    add('--threads', type=whole(1), default=1, help='CPU threads of every network')
    add('--samples', type=whole(1), default=50, help='futures per person')
    add('--calls', type=whole(1), default=1000,
        help='calls of each engine (sizes: a tenth, published: a twentieth)')  # fmt: skip
    add('--node-checkpoint', default='default', help='end to end: checkpoint of the node')
    add('--people', type=_crowds, default=(0, 1, 2, 3, 4), metavar='N,...',
        help='end to end: each of these numbers of people in turn; 0 also measures the start '
            'with an empty cache')  # fmt: skip
    add(
        '--seconds',
        type=float,
        default=20.0,
        help='end to end: seconds for each number of people',
    )
    add('--busy', type=whole(0, 64), default=0, metavar='N',
        help='end to end: number of busy processes beside it. They delay source and listener '
            'too, so read "message to message"')  # fmt: skip
    add('--realtime-priority', type=whole(0, 99), default=10, metavar='N',
        help='end to end: priority of the predicting thread; 0: ordinary scheduling')  # fmt: skip
    add(
        '--budget-ms',
        type=float,
        default=20.0,
        help='latency above which a prediction counts as late',
    )
    add('--steps', type=whole(1), default=100, help='denoising steps of the published teacher')
    add(
        '--quick',
        action='store_true',
        help='a few seconds, to try it out; the figures mean nothing',
    )
    add('--json', type=Path, metavar='FILE', help='file for all figures')
    add('--plot', type=Path, metavar='FILE', help='file for a plot of scaling and end-to-end')
    return parser


def _sections(text: str) -> list[str]:
    sections = text.split(',')
    if unknown := [section for section in sections if section not in SECTIONS]:
        raise argparse.ArgumentTypeError(f"there is no section '{unknown[0]}'")
    return sections


def _crowds(text: str) -> tuple[int, ...]:
    return tuple(map(whole(0, 8), text.split(',')))


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the measurements that the arguments ask for, and return all results.

    Raises:
        ModuleNotFoundError: if a section needs a package that is not installed.
        RuntimeError, ValueError: if an argument cannot be used, or if the node does not run.
    """
    torch.set_num_threads(arguments.threads)
    archive = open_archive(arguments.archive)
    checkpoints: dict[str, Path] = shipped_checkpoints()
    checkpoints |= {path.stem: path for path in arguments.checkpoint}
    ours: list[Contender] = []
    refused: list[dict[str, Any]] = []
    # Engines are compiled only for the sections that need them: each takes a minute.
    backends = arguments.backend if PREDICTING & {*arguments.only} else []
    for name, path in checkpoints.items():
        engines = contenders(name, path, archive, backends, arguments.device, arguments.samples)
        ours += engines[0]
        refused += engines[1]
    device = ours[0].predictor.device
    result: dict[str, Any] = {
        'machine': describe(device) | {'peak': matrix_peak(device, seconds=0.2)},
        'settings': {key: _plain(value) for key, value in vars(arguments).items()}
        | {'archive_fingerprint': archive.fingerprint},
        'refused': refused,
    }
    few = -(-arguments.calls // 10), -(-arguments.calls // 20)
    if 'model' in arguments.only:
        result['model'] = model.engines(ours, arguments.calls)
    if 'scaling' in arguments.only:
        samples, people = ((1,), (1, 2)) if arguments.quick else (model.SAMPLES, model.PEOPLE)
        result['scaling'] = model.scaling(ours, few[0], samples, people)
    if 'published' in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            theirs, refused_too = published.load_published(
                Path(folder), archive, arguments.backend, arguments.device, arguments.samples
            )
        peak = result['machine']['peak']
        rows = published.compare(ours, theirs, peak, few[1])
        rows.append(published.many_steps(archive, device, arguments.samples, arguments.steps))
        result['published'] = published.with_ratios(rows)
        result['refused'] += refused_too
    if 'planning' in arguments.only:
        result['planning'] = planning.measure(archive, arguments.calls)
    if 'training' in arguments.only:
        result['training'] = list(training.measure(30, arguments.quick))
    if 'end-to-end' in arguments.only:
        result['end_to_end'] = _end_to_end(arguments, archive)
    return result


def _end_to_end(arguments: argparse.Namespace, archive: MotionArchive) -> list[dict[str, Any]]:
    # This import needs ROS, so it is not at the top of the file.
    from motion_predictor.ros.tools.end_to_end import Load, measure

    parameters = {name: getattr(arguments, name) for name in ('device', 'threads', 'samples')}
    parameters |= {
        'checkpoint': arguments.node_checkpoint,
        'latency_budget_ms': arguments.budget_ms,
        'realtime_priority': arguments.realtime_priority,
        'backend': 'eager' if arguments.backend == [] else 'auto',
    }
    load = Load(archive, parameters, arguments.seconds, arguments.busy)
    runs = measure(load, arguments.people)
    for run in runs:
        received, published_ms = run.pop('received_ms'), run.pop('published_ms')
        run['over_budget'] = sum(latency > arguments.budget_ms for latency in received)
        if received:
            run['received'] = asdict(Timing.of(received))
            transport = [there - here for there, here in zip(received, published_ms, strict=True)]
            run['transport'] = asdict(Timing.of(transport))
    return runs


def _plain(value: Any) -> Any:
    """Return a setting, converted to types that JSON can represent."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def main(argv: list[str] | None = None) -> int:
    """Measure, and print the results. The exit status is 2 after a problem, 1 after an interrupt.

    A problem is printed to stderr as one sentence.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.plot and not {'scaling', 'end-to-end'} & set(arguments.only):
        parser.error('--plot draws scaling and end-to-end: measure one of them')
    if arguments.quick:
        vars(arguments).update(QUICK)
    try:
        with remarks_of('benchmark'):
            result = run(arguments)
    except KeyboardInterrupt:
        return 1
    except ModuleNotFoundError as error:
        complain(
            'benchmark',
            f'the Python package {error.name} is missing; --only {",".join(SECTIONS[:-1])} '
            'needs neither ROS nor psutil',
        )
        return 2
    except (RuntimeError, ValueError, OSError) as error:
        complain('benchmark', error)
        return 2
    say(tables(result))
    if arguments.json:
        write_json(result, arguments.json)
        say_written(arguments.json)
    if arguments.plot:
        plot(result, arguments.plot)
        say_written(arguments.plot)
    return 0
