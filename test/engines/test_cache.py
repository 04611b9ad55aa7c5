"""The cache of engines: its files are intact, its size is limited, processes share it."""

import os
import threading
import time
from pathlib import Path

import pytest
import torch

from motion_predictor.common.files import written_whole
from motion_predictor.engines.cache import KEPT, artefact, ensure, is_sound


def test_makers_of_one_engine_take_turns(tmp_path: Path) -> None:
    path, made = tmp_path / 'cache' / 'engine', []

    def make(draft: Path) -> None:
        made.append(draft)
        time.sleep(0.1)
        draft.write_bytes(b'machine code')

    threads = [threading.Thread(target=ensure, args=(path, make)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and is_sound(path)


def test_the_cache_stays_small_and_drops_what_was_left_half_done(tmp_path: Path) -> None:
    killed = tmp_path / '.writing-killed'
    killed.mkdir()
    (killed / 'half').write_bytes(b'half')
    paths = [tmp_path / f'{index}' for index in range(KEPT + 3)]
    for age, path in enumerate(paths):
        ensure(path, lambda draft: draft.write_bytes(b'machine code'))
        os.utime(path, (age, age))
    assert not killed.exists()
    assert [path for path in paths if path.exists()] == paths[-KEPT:], 'those used last'


def test_an_artefact_depends_on_all_that_it_was_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> list[Path]:
        cpu = torch.device('cpu')
        return [
            artefact('a', 'compiled', 'float32', cpu),
            artefact('b', 'compiled', 'float32', cpu),
            artefact('a', 'tensorrt', 'float32', cpu),
            artefact('a', 'compiled', 'bfloat16', cpu),
        ]

    before = names()
    assert len(set(before)) == 4
    assert names() == before
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 7)
    seven_threads = names()
    monkeypatch.setattr(torch, '__version__', '0.0')
    assert not set(before + seven_threads) & set(names())


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'file'
    with pytest.raises(KeyboardInterrupt), written_whole(path) as draft:
        draft.write_text('half')
        raise KeyboardInterrupt
    assert not list(path.parent.iterdir())
    with written_whole(path) as draft:
        draft.write_text('whole')
    assert path.read_text() == 'whole'
    assert list(path.parent.iterdir()) == [path]
