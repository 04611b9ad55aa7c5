"""Import of Human3.6M from VideoPose3D's file, whose pickles must not run code."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from motion_predictor.archive import load_archive
from motion_predictor_training.data.importers.human36m import KEPT

FloatArray = NDArray[np.float32]


@pytest.fixture
def h36m() -> dict[str, dict[str, FloatArray]]:
    """Motion with the size of people, as VideoPose3D stores it. No two joints coincide."""
    generator = np.random.default_rng(0)

    def motion(frames: int) -> FloatArray:
        drift = generator.standard_normal((frames, 1, 3)).cumsum(0) * 0.01
        body = np.linspace([0, -0.3, 0], [0.1, 0.3, 1.7], 32)
        return (body + drift).astype(np.float32)

    return {
        subject: {'Walking 1': motion(40), 'Eating': motion(30)} for subject in ('S1', 'S9', 'S11')
    }


@pytest.mark.parametrize('protocol', [2, 4])
def test_human36m(
    tmp_path: Path,
    out: Path,
    h36m: Any,
    protocol: int,
    prepare: Callable[..., str],
    column: Callable[..., FloatArray],
) -> None:
    source = tmp_path / 'data_3d_h36m.npz'
    if protocol == 4:
        np.savez_compressed(source, positions_3d=np.array(h36m, dtype=object))
    else:  # the format of numpy when the published files were made
        with zipfile.ZipFile(source, 'w') as archive, archive.open('positions_3d.npy', 'w') as f:
            np.lib.format.write_array_header_1_0(
                f, {'descr': '|O', 'fortran_order': False, 'shape': ()}
            )
            f.write(pickle.dumps(np.array(h36m, dtype=object), protocol=2))
    prepare('human36m', source, '--subjects', 'S1', 'S11', '--out', out)
    made = load_archive(out)
    assert made.rate_hz == 50 and made.layout.name == 'h36m17' and made.valid is None
    assert made.subjects == ('S1', 'S1', 'S11', 'S11')
    assert made.clip_names[:2] == ('S1/Walking 1', 'S1/Eating')
    assert made.categories[:2] == ('Walking', 'Eating')
    np.testing.assert_allclose(made.clip(2), h36m['S11']['Walking 1'][:, list(KEPT)], atol=0.00013)
    # The indices of these joints in Human3.6M.
    for joint, index in {'Hip': 0, 'RHip': 1, 'LAnkle': 8, 'Head': 15, 'RWrist': 27}.items():
        expected = h36m['S1']['Walking 1'][:, index]
        np.testing.assert_allclose(column(made, joint), expected, atol=0.00013)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(Malicious.trace),)

    trace: Path


@pytest.mark.parametrize('hidden_in', ['the dictionary', 'the place of the array'])
def test_a_pickle_that_runs_code_is_refused(
    tmp_path: Path, out: Path, hidden_in: str, refused: Callable[..., str]
) -> None:
    Malicious.trace = tmp_path / 'executed'
    source = tmp_path / 'evil.npz'
    if hidden_in == 'the dictionary':
        np.savez(source, positions_3d=np.array({'S1': {'Walking': Malicious()}}, dtype=object))
    else:
        with zipfile.ZipFile(source, 'w') as archive, archive.open('positions_3d.npy', 'w') as f:
            np.lib.format.write_array_header_1_0(
                f, {'descr': '|O', 'fortran_order': False, 'shape': ()}
            )
            f.write(pickle.dumps(Malicious()))
    sentence = refused('human36m', source, '--out', out)
    assert 'evil.npz' in sentence and 'mkdir' in sentence
    assert not Malicious.trace.exists()


def test_human36m_refusals(
    tmp_path: Path, out: Path, h36m: Any, refused: Callable[..., str]
) -> None:
    source = tmp_path / 'h.npz'

    def sentence(content: Any = None, subjects: tuple[str, ...] = (), **arrays: Any) -> str:
        if content is not None:
            arrays = {'positions_3d': np.array(content, dtype=object)}
        np.savez(source, **arrays)
        chosen = ('--subjects', *subjects) if subjects else ()
        text = refused('human36m', source, '--out', out, *chosen)
        assert str(source) in text
        return text

    assert 'no subject S2: it has S1, S11, S9' in sentence(h36m, ('S2', 'S9'))
    assert '(40, 17, 3)' in sentence({'S1': {'Walking': h36m['S1']['Walking 1'][:, :17]}})
    assert '(0, 32, 3)' in sentence({'S1': {'Walking': np.zeros((0, 32, 3), np.float32)}})
    assert 'list' in sentence({'S1': {'Walking': [1, 2]}})
    assert 'dictionary of actions' in sentence({'S1': h36m['S1']['Walking 1']})
    assert 'dictionary of subjects' in sentence({})
    assert 'no array positions_3d' in sentence(positions=np.zeros((4, 32, 3)))
    assert 'float64' in sentence(positions_3d=np.zeros((4, 32, 3)))
    np.savez_compressed(source, positions_3d=np.array(h36m, dtype=object))
    source.write_bytes(source.read_bytes()[:-500])
    assert 'not a readable' in refused('human36m', source, '--out', out)
    assert 'not a readable' in refused('human36m', tmp_path / 'none.npz', '--out', out)
