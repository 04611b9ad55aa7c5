"""Tuning: searches for an accurate student, and for a fast student that is almost as accurate.

The two students are called the products `accuracy` and `balance`, as in SwiftDiff (arXiv
2409.12456). The search is a Bayesian optimisation. Each trial is a short training, and all trials
share one bank of the teacher's results.

Latency is measured only while no trial trains. The latency of a student is measured before its
training, with random weights, since the values of the weights do not change the latency. At the
end, the latencies of all finished trials are measured again. In this measurement, the trials take
turns, so that other load on the machine affects all trials equally.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from motion_predictor.archive import load_archive
from motion_predictor.checkpoint import Checkpoint, load_checkpoint
from motion_predictor.common.terminal import say
from motion_predictor_training.config import ConfigError, TuneConfig
from motion_predictor_training.data.windows import model_windows
from motion_predictor_training.evaluation.report.writing import write_json
from motion_predictor_training.learning.bank import fill_bank
from motion_predictor_training.learning.provenance import provenance
from motion_predictor_training.learning.targets import windows_for
from motion_predictor_training.tuning.cost import cost, said
from motion_predictor_training.tuning.latency import measure_latencies
from motion_predictor_training.tuning.one_trial import Study, timed, trained
from motion_predictor_training.tuning.proposals import Search, with_values
from motion_predictor_training.tuning.pruning import bar_m
from motion_predictor_training.tuning.report import SCORES, plot_all, table
from motion_predictor_training.tuning.results import (
    PRODUCTS,
    Product,
    Trial,
    Trials,
    choose,
    pareto_front,
)


def tune(
    config: TuneConfig,
    teacher_path: Path,
    train_path: Path,
    validation_path: Path,
    out: Path,
    workers: int | None = None,
) -> dict[str, Any]:
    """Search for the products `accuracy` and `balance`, print the results and return them.

    After an interruption, call this function again with the same arguments. The search first
    finishes the unfinished trials, and then makes the same trials as an uninterrupted search. To
    extend a search, raise `trials` in the configuration and call this function again.

    Args:
        config: settings of the search: base configuration, search space, latency budget, ...
        teacher_path: checkpoint of the teacher, which is sampled with the settings in its header.
        train_path: archive to learn from. The histories in this archive are the conditions
            (inputs) of the students.
        validation_path: archive that the score is measured on.
        out: folder for `trials.jsonl`, the folders of the trials, their common bank,
            `summary.json` and plots. The files `accuracy.yaml` and `balance.yaml` are also written
            here, for `train student --config`.
        workers: number of trials that Ray trains at the same time. If `workers` is None, this
            process trains one trial after the other.

    Raises:
        ConfigError: if the search space does not fit the student, the folder contains another
            search, or no trial has finished within the latency budget.
        ModuleNotFoundError: if `workers` is given and Ray is not installed.
    """
    paths = (path.resolve() for path in (teacher_path, train_path, validation_path, out))
    study = Study(config, *paths)
    search = Search(config)
    if workers is not None:
        from motion_predictor_training.tuning.workers import (
            Workers,
        )  # Ray is optional

    teacher = load_checkpoint(study.teacher)
    facts, trials = _open(study, teacher)
    if len(trials.done) < config.trials:
        if workers is None:
            _search(study, search, trials, teacher, partial(map, partial(trained, study)), 1)
        else:
            with Workers(workers, study.folder) as pool:
                _search(study, search, trials, teacher, partial(pool.train, study), workers)
    return _conclude(study, search, trials.done[: config.trials], teacher, facts)


def _open(study: Study, teacher: Checkpoint) -> tuple[dict[str, Any], Trials]:
    """Check the inputs and fill the bank; return facts about the search and all its trials."""
    config, header = study.config, teacher.header
    train, validation = load_archive(study.train), load_archive(study.validation)
    model_windows(validation, header, config.validation.stride)
    windows = windows_for(train, header, header, 'teacher', config.base.bank.truth)
    facts = provenance(config, train, teacher)
    facts['data']['validation'] = validation.fingerprint
    causes = [config.model_dump(mode='json', exclude={'trials'}), facts['data'], teacher.sha256]
    facts['identity'] = hashlib.sha256(json.dumps(causes, sort_keys=True).encode()).hexdigest()
    trials = Trials(study.folder, facts['identity'])
    fill_bank(study.bank, teacher, train, windows, config.base.bank)
    return facts, trials


def _search(
    study: Study,
    search: Search,
    trials: Trials,
    teacher: Checkpoint,
    train: Callable[[list[Trial]], Iterable[Trial]],
    at_once: int,
) -> None:
    """Run trials, `at_once` at a time, until the configured number is done."""
    budget = study.config.trials
    with tqdm(
        total=budget,
        initial=len(trials.done),
        desc='tune',
        unit='trial',
        leave=False,
        disable=None,
    ) as bar:
        while len(trials.done) < budget:
            if not trials.open:
                left = budget - len(trials.done)
                trials.put(*search.propose(trials.done, min(at_once, left)))
            for trial in trials.open:
                if trial.latency is None:
                    trials.put(timed(study, teacher, trial))
            bar.update(len(trials.done) - bar.n)  # trials that failed early are done, too
            for trial in trials.open:
                if trial.bar_m is None:
                    trials.put(trial.with_(bar_m=bar_m(study.config, trials.done)))
            for trial in train(trials.open):
                trials.put(trial)
                bar.update()
                bar.set_postfix_str(
                    trial.problem or f'{trial.reached_m:.3f} m, {trial.median_ms:.1f} ms'
                )


def _conclude(
    study: Study, search: Search, trials: list[Trial], teacher: Checkpoint, facts: dict[str, Any]
) -> dict[str, Any]:
    """Choose the products, write all results and print a table."""
    config = study.config
    finished = [trial for trial in trials if trial.finished]
    if not finished:
        failed = [trial.problem for trial in trials if trial.problem]
        raise ConfigError(f'all {len(trials)} trials failed, the first with: {failed[0]}')
    students = [study.untrained(trial, teacher) for trial in finished]
    latencies = measure_latencies(students, config.latency)
    for trial, latency in zip(finished, latencies, strict=True):
        trials[trials.index(trial)] = trial.with_(latency=latency)
    chosen = {product: choose(product, trials, config) for product in PRODUCTS}
    front = pareto_front(trials)
    for product, trial in chosen.items():
        _write_product(study, product, trial)
    summary: dict[str, Any] = {
        'products': {product: trial.model_dump() for product, trial in chosen.items()},
        'at_bounds': {product: search.at_bounds(t.values) for product, t in chosen.items()},
        'pareto_front': [trial.number for trial in front],
        'trials': [trial.model_dump() for trial in trials],
        'cost': cost(config, trials),
        'provenance': facts,
    }
    write_json(summary, study.folder / 'summary.json')
    plot_all(search, trials, chosen, study.folder)
    say(table(config, trials, chosen))
    say(f'\n{said(summary["cost"])}')
    for product, trial in chosen.items():
        keys = search.at_bounds(trial.values)
        if keys:
            say(
                f'the {product} product lies on the bounds of {", ".join(keys)}: widen the '
                'space and tune again'
            )
    return summary


def _write_product(study: Study, product: Product, trial: Trial) -> None:
    """Write the configuration with which a product can be trained for its full number of steps."""
    config, score = study.config, SCORES[study.config.score]
    student = with_values(config.base, trial.values).model_copy(update={'name': product})
    about = (
        f'# The {product} product of `train tune`, trial {trial.number}: after '
        f'{config.steps} steps {score} {trial.reached_m:.4f} m on validation data,\n'
        f'# median latency {trial.median_ms:.1f} ms. To be trained in full by `train student '
        '--config`.\n'
    )
    content = yaml.safe_dump(student.model_dump(mode='json'), sort_keys=False)
    (study.folder / f'{product}.yaml').write_text(about + content)
