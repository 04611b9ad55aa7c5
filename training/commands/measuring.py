"""The subcommands that measure a checkpoint, such as `evaluate` or `robustness`."""

import argparse
from pathlib import Path

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor.common.terminal import say
from motion_predictor_training import pages
from motion_predictor_training.commands.arguments import (
    Stages,
    add_archives,
    add_config,
    add_files,
    add_measured,
    add_seed,
    add_seen,
    count,
    load,
    stage,
)
from motion_predictor_training.config import CalibrationConfig
from motion_predictor_training.evaluation import robustness
from motion_predictor_training.evaluation.evaluate import evaluate_checkpoint, record
from motion_predictor_training.evaluation.memorisation import (
    measure_memorisation,
    memorisation_table,
)
from motion_predictor_training.evaluation.report.plots import plot_evaluation
from motion_predictor_training.evaluation.report.writing import (
    table,
    write_json,
    write_markdown,
    write_text,
)
from motion_predictor_training.evaluation.shown import predict_shown
from motion_predictor_training.evaluation.unfamiliar import familiarity_table
from motion_predictor_training.shield import report as shield_report
from motion_predictor_training.shield.measure import measure_shield


def add(stages: Stages) -> None:
    """Add the subcommands of this module to the parser of `train`."""
    _add_evaluate(stages)
    _add_tables(stages)
    _add_robustness(stages)
    _add_memorisation(stages)
    _add_shield(stages)


def _add_evaluate(stages: Stages) -> None:
    summary = 'Measure a checkpoint on an archive, beside simple baselines.'
    sub = stage(stages, 'evaluate', summary, _evaluate)
    add_measured(sub, 'motion archive (.npz)')
    sub.add_argument(
        '--no-overlap',
        dest='stride',
        action='store_const',
        const=None,
        default=argparse.SUPPRESS,
        help='use windows that do not overlap, instead of --stride',
    )
    sub.add_argument(
        '--multimodal-threshold',
        type=float,
        default=0.4,
        help='windows whose last poses are nearer than this share their futures, in metres',
    )
    add_seen(sub)
    sub.add_argument(
        '--coverage',
        type=float,
        help='coverage of the sets; the checkpoint must be calibrated for it (default: 0.95)',
    )
    add_files(sub)
    sub.add_argument(
        '--summary', type=Path, help='file of the figures in the tables of the documentation'
    )
    sub.add_argument('--plots', type=Path, help='folder for plots of the results')
    sub.add_argument(
        '--record',
        type=Path,
        metavar='FILE',
        help='where to write a copy of the checkpoint that holds the figures',
    )


def _add_tables(stages: Stages) -> None:
    sub = stage(stages, 'tables', 'Rewrite the tables of pages from result files.', _tables)
    sub.add_argument('pages', type=Path, nargs='+', help='pages with marked tables (.md)')
    sub.add_argument(
        '--results',
        type=Path,
        required=True,
        help='folder of the files that `evaluate --summary` wrote',
    )


def _add_robustness(stages: Stages) -> None:
    summary = 'Measure a checkpoint on an archive with simulated faults of trackers.'
    sub = stage(stages, 'robustness', summary, _robustness)
    add_measured(sub, 'motion archive (.npz)')
    add_files(sub)


def _add_memorisation(stages: Stages) -> None:
    summary = 'Measure whether predictions repeat the training data.'
    sub = stage(stages, 'memorisation', summary, _memorisation)
    add_measured(sub, 'motion of people whom the checkpoint was not trained on (.npz)', samples=10)
    add_archives(sub, '--train', 'motion that was trained on', required=True)
    sub.add_argument('--json', type=Path, help='file for the results')


def _add_shield(stages: Stages) -> None:
    summary = 'Measure what the sets are worth to an arm that stops for people.'
    sub = stage(stages, 'shield', summary, _shield)
    add_measured(sub, 'motion of the people beside the arm (.npz)', stride=12)
    calibrated_on = 'motion of other people, to calibrate the baselines on'
    add_archives(sub, '--calibration', calibrated_on, required=True)
    sub.add_argument(
        '--coverages',
        type=float,
        nargs='+',
        help='coverages to measure (default: all that the checkpoint is calibrated for)',
    )
    sub.add_argument(
        '--scenes', type=count, default=20_000, help='number of simulated control cycles'
    )
    add_seed(sub, 'the control cycles')
    add_seen(sub)
    add_files(sub)
    sub.add_argument('--plot', type=Path, help='file for a plot of time lost against misses')
    add_config(sub, 'calibrate')


def _evaluate(arguments: argparse.Namespace) -> None:
    result = evaluate_checkpoint(
        arguments.checkpoint,
        arguments.archive,
        arguments.samples,
        arguments.stride,
        arguments.multimodal_threshold,
        arguments.seen,
        coverage=arguments.coverage,
    )
    say(table(result))
    if 'coverage' in result:
        nominal, reached = result['coverage']['nominal'], result['coverage']['reached']
        say(f'\nthe radius for {nominal:.1%} held {reached:.1%} of the joints')
    if arguments.record:
        record(result, arguments.checkpoint, arguments.record)
    if arguments.json:
        write_json(result, arguments.json)
    if arguments.summary:
        write_json(pages.summary(result), arguments.summary)
    if arguments.markdown:
        write_markdown(result, arguments.markdown)
    if arguments.plots:
        predicted = None
        if result['shown']:
            predicted = predict_shown(arguments.checkpoint, arguments.archive, result)
        header = load_checkpoint(arguments.checkpoint).header
        rate_hz = header.window.rate_hz
        plot_evaluation(result, predicted, header.layout, rate_hz, arguments.plots)


def _tables(arguments: argparse.Namespace) -> None:
    results = pages.load_results(arguments.results)
    for page in arguments.pages:
        write_text(pages.rewritten(page.read_text(), results), page)


def _robustness(arguments: argparse.Namespace) -> None:
    result = robustness.measure_robustness(
        arguments.checkpoint, arguments.archive, arguments.samples, arguments.stride
    )
    say(robustness.table(result))
    if result['familiarity']:
        say(f'\n{familiarity_table(result["familiarity"])}')
    if arguments.json:
        write_json(result, arguments.json)
    if arguments.markdown:
        write_text(robustness.markdown(result), arguments.markdown)


def _memorisation(arguments: argparse.Namespace) -> None:
    result = measure_memorisation(
        arguments.checkpoint,
        arguments.train,
        arguments.archive,
        arguments.samples,
        arguments.stride,
    )
    say(memorisation_table(result))
    if arguments.json:
        write_json(result, arguments.json)


def _shield(arguments: argparse.Namespace) -> None:
    result = measure_shield(
        arguments.checkpoint,
        arguments.archive,
        arguments.calibration,
        load(CalibrationConfig, arguments),
        arguments.coverages,
        scenes=arguments.scenes,
        stride=arguments.stride,
        samples=arguments.samples,
        seen=arguments.seen,
        seed=arguments.seed,
    )
    say(shield_report.about(result))
    say(f'\n{shield_report.table(result)}')
    if arguments.json:
        write_json(result, arguments.json)
    if arguments.markdown:
        write_text(shield_report.markdown(result), arguments.markdown)
    if arguments.plot:
        shield_report.plot(result, arguments.plot)
