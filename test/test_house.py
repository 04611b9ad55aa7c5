"""Checks the order of the folders and the length of files.

Imports point down the order of the folders and form no circle. `doc/architecture.md` describes the
folders.
"""

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    'motion_predictor': 'motion_predictor',
    'motion_predictor_training': 'training',
    'motion_predictor_benchmark': 'benchmark',
}
RUNTIME = [
    ['common'],
    ['skeleton'],
    ['archive', 'model', 'sources', 'tracking'],
    ['uncertainty'],
    ['checkpoint', 'engines', 'planning', 'prediction'],
    ['predictor', 'budget', 'view'],
    ['making', 'self_check'],
    ['ros.common'],
    ['ros.node'],
    ['ros.consumers'],
    ['ros.tools'],
]
TRAINING = [
    ['files', 'config', 'shipped'],
    ['data.importers'],
    ['data'],
    ['predicting'],
    ['learning', 'evaluation.measures'],
    ['evaluation', 'evaluation.report'],
    ['calibration', 'records', 'tuning', 'viewing'],
    ['shield', 'ablation', 'recipe', 'reproduction'],
    ['pages'],
    ['commands'],
    ['cli'],
]
"""From the bottom up. Entries of the same row do not import each other. Modules inside one entry
may import each other."""

LONGEST = 300
"""Greatest number of lines of a file, so that it can be read in one sitting."""
CODE = ('.py', '.hpp', '.cpp', '.js', '.sh', '.msg', '.cmake', '.css')


def _modules() -> dict[str, Path]:
    modules = {}
    for package, folder in FOLDERS.items():
        for path in (ROOT / folder).rglob('*.py'):
            parts = path.relative_to(ROOT / folder).with_suffix('').parts
            modules['.'.join((package, *parts)).removesuffix('.__init__')] = path
    return modules


def _imports(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                full = f'{node.module}.{alias.name}'
                yield full if full in modules else node.module


MODULES = _modules()
GRAPH = {name: {*_imports(path, MODULES)} - {name} for name, path in MODULES.items()}


def _row(module: str, package: str, rows: list[list[str]]) -> tuple[int, str]:
    """Return the row of a module and the entry for it: the longest entry that names the module."""
    inner = module.removeprefix(f'{package}.')
    places = [(n, place) for n, row in enumerate(rows) for place in row]
    fits = [(n, p) for n, p in places if inner == p or inner.startswith(f'{p}.')]
    assert fits, f'{module} is in none of the rows of {__file__}: give it a place there'
    return max(fits, key=lambda fit: len(fit[1]))


@pytest.mark.parametrize(
    ('package', 'rows'), [('motion_predictor', RUNTIME), ('motion_predictor_training', TRAINING)]
)
def test_imports_point_down(package: str, rows: list[list[str]]) -> None:
    upwards = []
    for module, imported in GRAPH.items():
        if not module.startswith(f'{package}.') or module in (f'{package}.ros', f'{package}.data'):
            continue
        row, place = _row(module, package, rows)
        for other in imported:
            if other.startswith(f'{package}.') and other != f'{package}.msg':
                below, where = _row(other, package, rows)
                if where != place and below >= row:
                    upwards.append(f'{module} imports {other}')
    assert not upwards


def test_the_robots_side_knows_nothing_of_training() -> None:
    above = ('motion_predictor_training', 'motion_predictor_benchmark')
    known = [
        (module, other)
        for module, imported in GRAPH.items()
        if module.split('.')[0] == 'motion_predictor'
        for other in imported
        if other.startswith(above)
    ]
    assert not known


def _names_ros(path: Path) -> bool:
    """Whether a file imports rclpy, tf2 or a generated message."""
    ours = 'motion_predictor.msg'
    return any(
        isinstance(node, ast.ImportFrom)
        and (node.module == ours or (node.module or '').split('.')[0] in ('rclpy', 'tf2_ros'))
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_only_ros_imports_ros() -> None:
    users = {name for name, path in MODULES.items() if _names_ros(path)}
    assert users
    assert not {name for name in users if not name.startswith('motion_predictor.ros.')}


def test_no_module_is_in_a_circle() -> None:
    order = list(TopologicalSorter(GRAPH).static_order())
    assert order.index('motion_predictor.skeleton') < order.index('motion_predictor.predictor')


def test_files_can_be_read_in_one_sitting() -> None:
    """Test files may be a little longer, so that tests of one thing stay in one file."""
    paths = [p for p in _files() if p.suffix in CODE]
    assert len(paths) > 200
    lines = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in paths}
    too_long = {
        name: count
        for name, count in lines.items()
        if count > (400 if name.startswith('test/') else LONGEST)
    }
    assert not too_long


def test_the_architecture_page_and_its_picture_name_what_is_there() -> None:
    page = (ROOT / 'doc/architecture.md').read_text()
    table = page[page.index('## Where to change what') :]
    named = re.findall(r'`([\w./]+/[\w./]*)`', table)
    picture = (ROOT / 'doc/house.svg').read_text()
    inside = [
        n.strip()
        for text in re.findall(r'"place"[^>]*>([^<]+)<', picture)
        for n in text.split(',')
    ]
    places = [
        ROOT,
        ROOT / 'motion_predictor',
        ROOT / 'motion_predictor/ros/consumers',
        ROOT / 'training',
    ]
    assert len(named) > 20 and len(inside) > 15
    assert [n for n in named if not (ROOT / n).exists()] == []
    assert [n for n in inside if not any((p / n).exists() for p in places)] == []


def _files() -> Iterator[Path]:
    """Yield the files of the repository, except built and installed ones."""
    for entry in ROOT.iterdir():
        if entry.name not in ('build', 'install', 'log') and not entry.name.startswith('.'):
            yield from entry.rglob('*') if entry.is_dir() else [entry]
