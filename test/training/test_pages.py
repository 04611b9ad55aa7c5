"""The tables of the pages agree with the result files."""

import json
from pathlib import Path

import pytest
from commands import run_train

from motion_predictor_training.pages import load_results, rewritten

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / 'doc' / 'results'


@pytest.mark.parametrize(
    'page', ['README.md', 'doc/results.md', 'doc/checkpoints.md', 'doc/sets.md']
)
def test_pages_say_what_the_result_files_say(page: str) -> None:
    text = (ROOT / page).read_text()
    pages = 'README.md doc/results.md doc/checkpoints.md doc/sets.md'
    command = f'train tables {pages} --results doc/results'
    assert rewritten(text, load_results(RESULTS)) == text, f'`{command}` writes it anew'


def test_another_result_is_another_table(tmp_path: Path) -> None:
    result = json.loads((RESULTS / 'default.json').read_text())
    result['world']['joints']['model']['mean'][-1] = 123.4
    (tmp_path / 'default.json').write_text(json.dumps(result))
    page = tmp_path / 'page.md'
    page.write_text('Before.\n\n<!-- table: where -->\n<!-- end of table -->\n\nAfter.\n')
    assert run_train(['tables', str(page), '--results', str(tmp_path)]) == 0
    text = page.read_text()
    assert '| 123  ' in text and text.startswith('Before.') and text.endswith('After.\n')
    assert rewritten(text, load_results(tmp_path)) == text


@pytest.mark.parametrize('marks', ['', '<!-- table: wishes -->\n<!-- end of table -->'])
def test_a_page_without_known_tables_is_refused(marks: str) -> None:
    with pytest.raises(ValueError, match='table'):
        rewritten(f'Text.\n\n{marks}\n', load_results(RESULTS))
