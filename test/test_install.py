"""What an installation holds."""

from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

import pytest

import motion_predictor
import motion_predictor_benchmark
import motion_predictor_training


@pytest.mark.parametrize(
    'package', [motion_predictor, motion_predictor_training, motion_predictor_benchmark]
)
def test_no_start_has_to_compile_python(package: ModuleType) -> None:
    sources = [path for folder in package.__path__ for path in Path(folder).rglob('*.py')]
    assert sources
    assert not [path for path in sources if not Path(cache_from_source(path)).is_file()]
