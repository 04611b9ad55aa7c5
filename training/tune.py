"""Tuning: which student is the most accurate, and which the fastest that is almost as accurate.

Bayesian optimisation with two products, as in SwiftDiff (arXiv 2409.12456). Trials are short
trainings on one bank of the teacher's results; latency is measured, not guessed from sizes.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from tabulate import tabulate
from tqdm import tqdm

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.validation import first_problem
from motion_predictor_training.bank import fill_bank
from motion_predictor_training.config import ConfigError, DistilConfig, TuneConfig
from motion_predictor_training.data.windows import cut_windows
from motion_predictor_training.distill import distil
from motion_predictor_training.evaluate import evaluate_checkpoint
from motion_predictor_training.latency import measure_latency, untrained
from motion_predictor_training.provenance import provenance
from motion_predictor_training.report import write_json
from motion_predictor_training.search import Search, with_values
from motion_predictor_training.trials import PRODUCTS, Product, Trial, Trials, choose, pareto_front


@dataclass(frozen=True)
class Study:
    """A search and the files that it goes by."""

    config: TuneConfig
    teacher: Path
    train: Path
    validation: Path
    folder: Path

    def student(self, trial: Trial) -> DistilConfig:
        """Return the configuration of a trial, or raise ValidationError."""
        return with_values(
            self.config.base, trial.values | {'optimisation.steps': self.config.steps}
        )


def tune(
    config: TuneConfig, teacher_path: Path, train_path: Path, validation_path: Path, out: Path
) -> dict[str, Any]:
    """Search for the students of both products, print what was found and return it.

    Killed at any moment, the same call goes on: with the trial that was unfinished, in its folder,
    then with the trials that an unbroken search would have made. `trials` may be raised later.

    Args:
        config: base, space, budget and objective.
        teacher_path: a checkpoint with the residual parametrisation.
        train_path: motion whose histories are the conditions.
        validation_path: motion that the accuracy is measured on.
        out: folder for `trials.jsonl`, the trials' folders, the bank that they share,
            `summary.json`, and `accuracy.yaml` and `balance.yaml` for `train student --config`.

    Raises:
        ConfigError: if the space does not fit the student, the teacher is of another
            parametrisation, the folder is of another search, or no trial has finished.
    """
    study = Study(config, teacher_path, train_path, validation_path, out)
    search = Search(config)
    teacher = load_checkpoint(teacher_path)
    facts, trials = _open(study, teacher)
    with tqdm(total=config.trials, initial=len(trials.done), desc='tune', unit='trial') as bar:
        while len(trials.done) < config.trials:
            if len(trials.done) == len(trials.all):
                trials.put(*search.propose(trials.all, 1))
            (trial,) = (trial for trial in trials.all if trial.open)
            if trial.latency is None:
                trials.put(trial := _timed(study, teacher, trial))
            if trial.open:
                trials.put(trial := _trained(study, trial))
            bar.update()
            bar.set_postfix_str(
                trial.problem or f'ADE {trial.ade_m:.3f}, {trial.median_ms:.1f} ms'
            )
    return _conclude(study, trials.done[: config.trials], facts)


def _open(study: Study, teacher: Checkpoint) -> tuple[dict[str, Any], Trials]:
    """Check the inputs and fill the bank; return what the search depends on, and its trials."""
    config, header = study.config, teacher.header
    if header.parametrisation != 'residual':
        raise ConfigError(
            f'{study.teacher} has the {header.parametrisation} parametrisation; only residual '
            'teachers can be distilled'
        )
    window = header.window
    frames = window.history_frames + window.future_frames
    train, validation = load_archive(study.train), load_archive(study.validation)
    cut_windows(validation, header.layout, window.rate_hz, frames, config.validation.stride)
    windows = cut_windows(train, header.layout, window.rate_hz, frames, stride=1)
    facts = provenance(config, train, teacher)
    facts['data']['validation'] = validation.fingerprint
    causes = [config.model_dump(mode='json', exclude={'trials'}), facts['data'], teacher.sha256]
    facts['identity'] = hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()
    trials = Trials(study.folder, facts['identity'])
    fill_bank(study.folder / 'bank', teacher, train, windows, config.base.bank)
    return facts, trials


def _timed(study: Study, teacher: Checkpoint, trial: Trial) -> Trial:
    """Measure the latency of a trial, which fails if that is beyond the budget."""
    config = study.config
    try:
        student = untrained(teacher, study.student(trial).network)
        latency = measure_latency(student, config.latency)
    except Exception as error:  # whatever is wrong with one student does not end the search
        return trial.with_(problem=_sentence(error))
    if latency.median_ms > config.latency_budget_ms:
        problem = (
            f'the median latency of {latency.median_ms:.1f} ms is beyond the budget of '
            f'{config.latency_budget_ms:g} ms'
        )
        return trial.with_(latency=latency, problem=problem)
    return trial.with_(latency=latency)


def _trained(study: Study, trial: Trial) -> Trial:
    """Train a student, or go on with it, and measure it on the validation data."""
    folder = study.folder / 'trials' / f'{trial.number:03d}'
    bank, out = folder / 'student.bank', folder / 'student.safetensors'
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not bank.is_symlink():
            bank.symlink_to(Path('..', '..', 'bank'))
        distil(study.student(trial), study.teacher, study.train, out)
        measure = study.config.validation
        result = evaluate_checkpoint(out, study.validation, measure.samples, measure.stride)
    except Exception as error:  # as above
        return trial.with_(problem=_sentence(error))
    figures = result['rows']['model']
    if not math.isfinite(figures['ADE']):
        return trial.with_(problem=f'its ADE is {figures["ADE"]}')
    out.with_suffix('.state').unlink(missing_ok=True)  # as large as several students
    return trial.with_(figures=figures)


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return first_problem(error, 'the student')
    return ' '.join(str(error).split()) or type(error).__name__


def _conclude(study: Study, trials: list[Trial], facts: dict[str, Any]) -> dict[str, Any]:
    """Choose the products, write down everything and print a table."""
    if not any(trial.finished for trial in trials):
        raise ConfigError(f'all {len(trials)} trials failed, the first: {trials[0].problem}')
    loss = study.config.accuracy_loss
    chosen = {product: choose(product, trials, loss) for product in PRODUCTS}
    front = [trial.number for trial in pareto_front(trials)]
    for product, trial in chosen.items():
        _write_product(study, product, trial)
    summary = {
        'products': {product: trial.model_dump() for product, trial in chosen.items()},
        'pareto_front': front,
        'trials': [trial.model_dump() for trial in trials],
        'provenance': facts,
    }
    write_json(summary, study.folder / 'summary.json')
    print(table(trials, front, chosen))
    return summary


def _write_product(study: Study, product: Product, trial: Trial) -> None:
    """Write the configuration of a product, to be trained in full."""
    student = with_values(study.config.base, trial.values).model_copy(update={'name': product})
    about = (
        f'# The {product} product of `train tune`, trial {trial.number}: after '
        f'{study.config.steps} steps ADE {trial.ade_m:.4f} m on validation data,\n'
        f'# median latency {trial.median_ms:.1f} ms. To be trained in full by `train student '
        '--config`.\n'
    )
    content = yaml.safe_dump(student.model_dump(mode='json'), sort_keys=False)
    (study.folder / f'{product}.yaml').write_text(about + content)


def table(trials: list[Trial], front: list[int], chosen: dict[Product, Trial]) -> str:
    """Return all trials for a terminal: the finished, best ADE first, then the failed."""
    keys = list(trials[0].values)
    order = sorted(trials, key=lambda t: t.ade_m if t.finished else math.inf)
    lines = []
    for trial in order:
        marks: list[str] = [
            product for product, of_product in chosen.items() if of_product == trial
        ]
        marks += ['Pareto front'] if trial.number in front else []
        latency = trial.latency
        lines.append(
            [
                trial.number,
                trial.sought,
                *(f'{v:.2g}' if isinstance(v, float) else v for v in trial.values.values()),
                f'{trial.ade_m:.4f}' if trial.finished else '',
                f'{latency.median_ms:.2f}' if latency else '',
                f'{latency.p99_ms:.2f}' if latency else '',
                trial.problem or ', '.join(marks),
            ]
        )
    head = ['trial', 'sought', *(key.partition('.')[2] for key in keys)]
    return tabulate(lines, [*head, 'ADE, m', 'median, ms', 'p99, ms', ''], tablefmt='github')
