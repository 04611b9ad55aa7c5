"""Links in the documentation to files and headings of this repository."""

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob('*.md'), *ROOT.glob('doc/*.md')])
HTML_LINK = re.compile(r'(?:src|srcset|href)="([^"]+)"')
PARSER = MarkdownIt().enable('table').use(anchors_plugin, max_level=6)


def links_and_headings(page: Path) -> tuple[list[str], set[str]]:
    """Return the targets of the links and pictures of a page, and the names of its headings."""
    links, headings = [], set()
    for token in PARSER.parse(page.read_text()):
        headings |= {token.attrs['id']} if 'id' in token.attrs else set()
        for part in (token, *(token.children or ())):
            links += [str(part.attrs[key]) for key in ('href', 'src') if key in part.attrs]
            if part.type.startswith('html'):
                links += HTML_LINK.findall(part.content)
    return links, headings


def missing(page: Path) -> list[str]:
    """Return the links of a page whose targets do not exist."""
    found = []
    for link in links_and_headings(page)[0]:
        path, _, heading = link.partition('#')
        if '://' in link or link.startswith('mailto:'):
            continue
        target = page.parent / path if path else page
        if not target.exists() or heading and heading not in links_and_headings(target)[1]:
            found.append(link)
    return found


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert missing(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / 'page.md'
    page.write_text(
        '# One\n[a](page.md#one) [b](#two) [c](gone.md) ![d](gone.png) <img src="e.png">'
    )
    assert missing(page) == ['#two', 'gone.md', 'gone.png', 'e.png']


def test_readme_is_short() -> None:
    assert len((ROOT / 'README.md').read_text().splitlines()) <= 140
