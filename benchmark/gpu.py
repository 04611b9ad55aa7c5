"""Runs all measurements on a GPU, in 8 minutes: `python -m motion_predictor_benchmark.gpu`.

Each part of the measurements is a process with a time limit, so that a failure does not stop the
later parts. Results that a part wrote before its failure are kept.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from motion_predictor.common.arguments import Parser
from motion_predictor.common.installed import command_of
from motion_predictor.common.problems import one_line
from motion_predictor.common.terminal import complain, say, say_written
from motion_predictor_benchmark.gpu_parts import PARTS, Task
from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.files import replaced

TOLD = 2000
"""Number of characters that are kept of the output of a failed part."""
PATIENCE = 20
"""Factor of the time limits in a dry run (`--quick`), which may run on a slow and busy machine."""


def measure(task: Task, only: list[str]) -> dict[str, Any]:
    """Run parts of the measurements. Return the results of each part, or why the part failed."""
    result: dict[str, Any] = {'device': task.device, 'quick': task.quick, 'parts': {}}
    for name in only:
        print(f'gpu: {name} ...', flush=True)
        began_s = time.monotonic()
        part = _run(name, task)
        result['parts'][name] = part | {'took_s': round(time.monotonic() - began_s, 1)}
        write_json(result, task.out / 'gpu.json')
        (task.out / 'gpu.md').write_text(as_markdown(result))
    return result


def _run(name: str, task: Task) -> dict[str, Any]:
    command = [*command_of(__spec__.name), '--part', name, '--device', task.device]
    command += ['--out', str(task.out), *(['--quick'] if task.quick else [])]
    limit_s = PATIENCE * PARTS[name][1] if task.quick else PARTS[name][1]
    _rows_of(name, task).write_text('[]')
    part: dict[str, Any] = {}
    try:
        done = subprocess.run(
            command, timeout=limit_s, capture_output=True, text=True, errors='replace'
        )
        if done.returncode:
            part['error'] = (done.stderr or done.stdout).strip()[-TOLD:]
    except subprocess.TimeoutExpired:
        part['error'] = f'it took more than {limit_s:g} s'
    return part | {'rows': json.loads(_rows_of(name, task).read_text())}


def _rows_of(name: str, task: Task) -> Path:
    return task.out / f'part-{name}.json'


def as_markdown(result: dict[str, Any]) -> str:
    """Return the results of all parts as Markdown."""
    lines = [f'# On {result["device"]}' + (', a dry run' if result['quick'] else '')]
    for name, part in result['parts'].items():
        lines.append(f'\n## {name.replace("_", " ")} ({part["took_s"]} s)\n')
        if 'error' in part:
            lines.append(f'Broke:\n\n    {part["error"].splitlines()[-1]}\n')
        if part['rows']:
            rows = [
                {key: value for key, value in row.items() if value not in ('', [])}
                for row in part['rows']
            ]
            lines.append(tabulate(rows, headers='keys', tablefmt='github', floatfmt='.2f'))
    return '\n'.join(lines) + '\n'


def main(argv: list[str] | None = None) -> int:
    """Measure all parts. The exit status is 1 if a part failed, 2 if nothing can be measured."""
    parser = Parser(
        prog='gpu',
        description='Measure a GPU: predictions, engines and training.',
    )
    add = parser.add_argument
    add('--device', default='cuda', help='cuda, cuda:1, ... or cpu for a dry run')
    add('--out', type=Path, default=Path('gpu'), help='folder of gpu.json and gpu.md')
    add('--only', nargs='+', choices=PARTS, default=list(PARTS), help='parts to run')
    add('--quick', action='store_true', help='a minute, to try it out; the figures mean nothing')
    add('--part', choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    try:
        torch.zeros(1, device=arguments.device)
    except (RuntimeError, AssertionError) as error:
        complain('gpu', f"there is no '{arguments.device}': {one_line(error)}")
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    task = Task(arguments.device, arguments.quick, arguments.out)
    if arguments.part:
        rows = []
        for row in PARTS[arguments.part][0](task):
            rows.append(row)
            with replaced(_rows_of(arguments.part, task)) as draft:
                draft.write_text(json.dumps(rows, default=str))
        return 0
    result = measure(task, arguments.only)
    say((arguments.out / 'gpu.md').read_text())
    say_written(arguments.out / 'gpu.md')
    say_written(arguments.out / 'gpu.json')
    return int(any('error' in part for part in result['parts'].values()))


if __name__ == '__main__':
    sys.exit(main())
