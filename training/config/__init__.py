"""Settings of all training commands: the schemas that validate config/training/*.yaml."""

from motion_predictor_training.config.calibration import CalibrationConfig
from motion_predictor_training.config.comparison import (
    AblateConfig,
    ComparisonConfig,
    SensitivityConfig,
)
from motion_predictor_training.config.fitting import Augmentation, Optimisation
from motion_predictor_training.config.measurement import Measurement
from motion_predictor_training.config.reading import (
    Config,
    ConfigError,
    Count,
    Strict,
    load_config,
)
from motion_predictor_training.config.skeleton import layout_of
from motion_predictor_training.config.stages import (
    BankConfig,
    DistilConfig,
    RefineConfig,
    TeacherConfig,
    ValidationConfig,
)
from motion_predictor_training.config.tuning import (
    Dimension,
    LatencyConfig,
    Number,
    Pruning,
    Score,
    TuneConfig,
)

__all__ = [
    'AblateConfig',
    'ComparisonConfig',
    'SensitivityConfig',
    'Augmentation',
    'BankConfig',
    'CalibrationConfig',
    'Config',
    'ConfigError',
    'Count',
    'Dimension',
    'DistilConfig',
    'LatencyConfig',
    'Measurement',
    'Number',
    'Optimisation',
    'Pruning',
    'RefineConfig',
    'Score',
    'Strict',
    'TeacherConfig',
    'TuneConfig',
    'ValidationConfig',
    'layout_of',
    'load_config',
]
