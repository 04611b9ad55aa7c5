"""The `train` command: one subcommand a stage."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from motion_predictor.checkpoint import load_checkpoint
from motion_predictor_training import reproduction
from motion_predictor_training.ablation.ablate import ablate
from motion_predictor_training.ablation.plan import Stages
from motion_predictor_training.ablation.report import ablation_table
from motion_predictor_training.calibration.calibrate import calibrate
from motion_predictor_training.config import (
    AblateConfig,
    CalibrationConfig,
    Config,
    ConfigError,
    DistilConfig,
    RefineConfig,
    TeacherConfig,
    TuneConfig,
    load_config,
)
from motion_predictor_training.data.inventory import inventory, inventory_table
from motion_predictor_training.data.prepare import add_prepare
from motion_predictor_training.evaluation import robustness
from motion_predictor_training.evaluation.evaluate import (
    evaluate_checkpoint,
    predict_shown,
    record,
)
from motion_predictor_training.evaluation.report import pages
from motion_predictor_training.evaluation.report.plots import plot_evaluation
from motion_predictor_training.evaluation.report.writing import (
    table,
    write_json,
    write_markdown,
    write_text,
)
from motion_predictor_training.evaluation.unfamiliar import familiarity_table
from motion_predictor_training.learning.distill import distil
from motion_predictor_training.learning.memory import keep_freed_memory
from motion_predictor_training.learning.official import PRESETS, import_official
from motion_predictor_training.learning.parallel import is_first, processes
from motion_predictor_training.learning.refine import refine
from motion_predictor_training.learning.teacher import train_teacher
from motion_predictor_training.predicting.generate import generate
from motion_predictor_training.recipe import Archives, load_recipe, make, read_recipe
from motion_predictor_training.shield import report as shield_report
from motion_predictor_training.shield.measure import measure_shield
from motion_predictor_training.shipped import configuration_file, shipped_configuration
from motion_predictor_training.tuning.tune import tune


def _load(schema: type[Config], stage: str, arguments: argparse.Namespace) -> Config:
    return load_config(schema, configuration_file(arguments.config or stage), arguments.set)


def _teacher(arguments: argparse.Namespace) -> None:
    config = _load(TeacherConfig, 'teacher', arguments)
    train_teacher(config, arguments.train, arguments.out, arguments.start, arguments.validation)


def _distil(arguments: argparse.Namespace) -> None:
    config = _load(DistilConfig, arguments.stage, arguments)
    if arguments.stage == 'student':
        _require_stage(arguments.teacher, arguments.direct)
    distil(config, arguments.teacher, arguments.train, arguments.out)


def _refine(arguments: argparse.Namespace) -> None:
    config = _load(RefineConfig, 'refine', arguments)
    archives = arguments.train, arguments.out, arguments.validation
    refine(config, arguments.student, *archives, arguments.committee)


def _tune(arguments: argparse.Namespace) -> None:
    config = _load(TuneConfig, 'tune', arguments)
    tune(
        config,
        arguments.teacher,
        arguments.train,
        arguments.validation,
        arguments.out,
        arguments.workers,
    )


def _require_stage(teacher: Path, direct: bool) -> None:
    """Refuse a teacher that does not stand where the student is to start from."""
    header = load_checkpoint(teacher).header
    if direct and header.sampling == 'one_step':
        raise ConfigError(f'{teacher} has one step already: leave out --direct')
    if not direct and header.sampling == 'ddim':
        raise ConfigError(
            f'{teacher} takes {header.ddim_steps} steps: distil it with `train one-step` first, '
            'or skip that with --direct'
        )


def _calibrate(arguments: argparse.Namespace) -> None:
    config = _load(CalibrationConfig, 'calibrate', arguments)
    archives = arguments.validation, arguments.train or ()
    print(calibrate(config, arguments.checkpoint, *archives, arguments.out))


def _evaluate(arguments: argparse.Namespace) -> None:
    result = evaluate_checkpoint(
        arguments.checkpoint,
        arguments.archive,
        arguments.samples,
        arguments.stride,
        arguments.multimodal_threshold,
        arguments.seen,
    )
    print(table(result))
    if 'coverage' in result:
        nominal, reached = result['coverage']['nominal'], result['coverage']['reached']
        print(f'\nthe radius for {nominal:.1%} held {reached:.1%} of the joints')
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
    print(robustness.table(result))
    if result['familiarity']:
        print(f'\n{familiarity_table(result["familiarity"])}')
    if arguments.json:
        write_json(result, arguments.json)
    if arguments.markdown:
        write_text(robustness.markdown(result), arguments.markdown)


def _shield(arguments: argparse.Namespace) -> None:
    result = measure_shield(
        arguments.checkpoint,
        arguments.archive,
        arguments.calibration,
        _load(CalibrationConfig, 'calibrate', arguments),
        arguments.coverages,
        scenes=arguments.scenes,
        stride=arguments.stride,
        samples=arguments.samples,
        seen=arguments.seen,
        seed=arguments.seed,
    )
    print(shield_report.about(result))
    print(f'\n{shield_report.table(result)}')
    if arguments.json:
        write_json(result, arguments.json)
    if arguments.markdown:
        write_text(shield_report.markdown(result), arguments.markdown)
    if arguments.plot:
        shield_report.plot(result, arguments.plot)


def _import(arguments: argparse.Namespace) -> None:
    checkpoint = import_official(
        arguments.kind,
        arguments.weights,
        arguments.preset,
        layers=arguments.layers,
        width=arguments.width,
        heads=arguments.heads,
        ff_width=arguments.ff_width,
        ddim_steps=arguments.ddim_steps,
        sampling=arguments.sampling,
    )
    checkpoint.save(arguments.out)
    print(f'{arguments.out}: {load_checkpoint(arguments.out).model_id}')


def _inspect(arguments: argparse.Namespace) -> None:
    found = inventory(arguments.archive, arguments.others)
    print(inventory_table(found))
    if arguments.json:
        write_json(found, arguments.json)


def _generate(arguments: argparse.Namespace) -> None:
    generate(
        arguments.checkpoint,
        arguments.archive,
        arguments.clips,
        arguments.seconds,
        arguments.seed,
        arguments.out,
    )


def _all(arguments: argparse.Namespace) -> None:
    """Run every stage of a recipe; overrides are `stage.key=value`."""
    path = configuration_file(arguments.config, folder='recipes')
    stages = read_recipe(path, arguments.set, arguments.direct)
    archives = Archives(
        arguments.train, arguments.validation, arguments.calibration, arguments.test
    )
    make(stages, load_recipe(path).evaluate, archives, arguments.out)


def _reproduce(arguments: argparse.Namespace) -> None:
    overrides = _overrides(arguments.set, reproduction.STAGES)
    print(
        reproduction.reproduce(
            arguments.benchmark,
            arguments.source,
            arguments.out,
            arguments.weights,
            overrides,
            arguments.samples,
        )
    )


def _ablate(arguments: argparse.Namespace) -> None:
    """Run the ablations; overrides are `stage.key=value`."""
    overrides = _overrides(arguments.set, ('teacher', 'one-step', 'student', 'ablate'))
    path = configuration_file(arguments.config or 'ablate')
    seeds = [] if arguments.seeds is None else [f'seeds={arguments.seeds}']
    config = load_config(AblateConfig, path, [*overrides['ablate'], *seeds])
    archives = arguments.train, arguments.validation
    report = ablate(config, _stages(overrides), *archives, arguments.out, arguments.teacher)
    print(ablation_table(report))


def _overrides(given: list[str], stages: Sequence[str]) -> dict[str, list[str]]:
    """Return overrides `stage.key=value` as `key=value`, by stage."""
    overrides: dict[str, list[str]] = {stage: [] for stage in stages}
    for override in given:
        stage, _, rest = override.partition('.')
        if stage not in overrides:
            raise ConfigError(
                f'an override here begins with one of {", ".join(stages)}, got {override!r}'
            )
        overrides[stage].append(rest)
    return overrides


def _stages(overrides: dict[str, list[str]]) -> Stages:
    """Return what the stages up to the student are configured as."""

    def config(schema: type[Config], stage: str) -> Config:
        return load_config(schema, shipped_configuration(stage), overrides.get(stage, []))

    return Stages(
        config(TeacherConfig, 'teacher'),
        config(DistilConfig, 'one-step'),
        config(DistilConfig, 'student'),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='train', description='Train, distil, calibrate and evaluate motion predictors.'
    )
    parser.add_argument(
        '--threads',
        type=_count,
        default=1,
        help='CPU threads of a process; two are quicker on idle cores, and far slower beside '
        'another busy process (default: %(default)s)',
    )
    stages = parser.add_subparsers(dest='stage', required=True, metavar='STAGE')

    def stage(name: str, summary: str) -> argparse.ArgumentParser:
        return stages.add_parser(name, help=summary, description=summary)

    def configurable(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            '--config',
            type=Path,
            help='YAML file, or the name of one that ships (default: the one of this stage)',
        )
        _settable(sub, 'KEY=VALUE')

    sub = stage('teacher', 'Train the teacher, a TransFusion, on a motion archive.')
    sub.add_argument('--train', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument('--out', type=Path, required=True, help='checkpoint to write')
    sub.add_argument('--from', dest='start', type=Path, help='teacher to go on from')
    sub.add_argument('--validation', type=Path, help='motion archive to measure it on meanwhile')
    configurable(sub)
    sub.set_defaults(run=_teacher)

    add_prepare(stages)

    for name, summary in (
        ('one-step', "Distil a teacher's many steps into one step of the same network."),
        ('student', 'Distil a one-step teacher into SwiftDiff.'),
    ):
        sub = stage(name, summary)
        sub.add_argument('--teacher', type=Path, required=True, help='checkpoint to learn from')
        sub.add_argument('--train', type=Path, required=True, help='motion archive (.npz)')
        sub.add_argument('--out', type=Path, required=True, help='checkpoint to write')
        if name == 'student':
            _direct(sub)
        configurable(sub)
        sub.set_defaults(run=_distil)

    sub = stage('refine', 'Refine a student on recorded futures, by a proper score.')
    sub.add_argument('--student', type=Path, required=True, help='checkpoint to go on from')
    sub.add_argument(
        '--committee', type=Path, nargs='+', default=(), help='students to learn from as well'
    )
    sub.add_argument('--train', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument('--out', type=Path, required=True, help='checkpoint to write')
    configurable(sub)
    sub.add_argument(
        '--validation', type=Path, help='other people, to whom the spread of the samples is fitted'
    )
    sub.set_defaults(run=_refine)

    sub = stage('tune', 'Search for the most accurate student and the best balanced one.')
    sub.add_argument('--teacher', type=Path, required=True, help='checkpoint to learn from')
    sub.add_argument('--train', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument('--validation', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument('--out', type=Path, required=True, help='folder for all that is made')
    sub.add_argument('--workers', type=_count, help='trials to train at the same time, by ray')
    configurable(sub)
    sub.set_defaults(run=_tune)

    sub = stage('calibrate', 'Calibrate the published sets on motion not trained on.')
    sub.add_argument('--checkpoint', type=Path, required=True)
    sub.add_argument(
        '--validation', type=Path, nargs='+', required=True, help='motion archives (.npz)'
    )
    sub.add_argument(
        '--train', type=Path, nargs='+', help='archives trained on, for there are more people'
    )
    sub.add_argument('--out', type=Path, required=True, help='checkpoint to write')
    configurable(sub)
    sub.set_defaults(run=_calibrate)

    sub = stage('all', 'Run a recipe from motion archive to calibrated checkpoint; resumes.')
    sub.add_argument(
        '--config',
        type=Path,
        default='default',
        help='recipe: a YAML file, or the name of one that ships, as accurate (default: '
        '%(default)s)',
    )
    sub.add_argument('--train', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument('--validation', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument(
        '--calibration',
        type=Path,
        nargs='+',
        default=[],
        help='archives to calibrate on (default: that of --validation)',
    )
    sub.add_argument('--test', type=Path, help='archive to measure the product on')
    sub.add_argument('--out', type=Path, required=True, help='folder for all that is made')
    _direct(sub)
    _settable(sub, 'STAGE.KEY=VALUE')
    sub.set_defaults(run=_all)

    sub = stage('reproduce', "Run the paper's chain on the paper's data; resumes.")
    sub.add_argument('benchmark', choices=sorted(reproduction.BENCHMARKS))
    sub.add_argument(
        '--source',
        type=Path,
        nargs='+',
        required=True,
        help='what is downloaded: data_3d_h36m.npz, or data_3d_amass.npz data_3d_amass_test.npz',
    )
    sub.add_argument('--out', type=Path, required=True, help='folder for all that is made')
    sub.add_argument(
        '--weights', type=Path, help="the authors' TransFusion (.pt), instead of training it"
    )
    sub.add_argument('--samples', type=_count, default=50)
    _settable(sub, 'STAGE.KEY=VALUE')
    sub.set_defaults(run=_reproduce)

    sub = stage('ablate', 'Train and measure what the method could have left out; resumes.')
    sub.add_argument('--train', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument('--validation', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument('--out', type=Path, required=True, help='folder for all that is made')
    sub.add_argument('--teacher', type=Path, help='teacher to use instead of training one')
    sub.add_argument('--seeds', type=_count, help='seeds that every row is averaged over')
    sub.add_argument(
        '--config', type=Path, help='YAML file, or the name of one that ships (default: ablate)'
    )
    _settable(sub, 'STAGE.KEY=VALUE')
    sub.set_defaults(run=_ablate)

    sub = stage('evaluate', 'Measure a checkpoint beside zero velocity and constant velocity.')
    sub.add_argument('--checkpoint', default='default', help='"default" or a file')
    sub.add_argument('--archive', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument('--samples', type=_count, default=50)
    sub.add_argument('--stride', type=_count, default=30, help='frames between window starts')
    sub.add_argument(
        '--no-overlap',
        dest='stride',
        action='store_const',
        const=None,
        help='windows that do not overlap, instead of --stride',
    )
    sub.add_argument('--multimodal-threshold', type=float, default=0.4)
    sub.add_argument(
        '--seen',
        nargs='+',
        default=[],
        metavar='SUBJECT',
        help='subjects that were trained on, where the checkpoint does not say so',
    )
    sub.add_argument('--json', type=Path, help='file for the results')
    sub.add_argument(
        '--summary', type=Path, help='file for what the tables of the documentation need'
    )
    sub.add_argument('--markdown', type=Path, help='file for the results as a page to read')
    sub.add_argument('--plots', type=Path, help='folder for plots of the results')
    sub.add_argument(
        '--record', type=Path, metavar='FILE', help='copy of the checkpoint with its figures in it'
    )
    sub.set_defaults(run=_evaluate)

    sub = stage('tables', 'Write the tables of pages anew from result files.')
    sub.add_argument('pages', type=Path, nargs='+', help='pages that mark tables (.md)')
    sub.add_argument(
        '--results', type=Path, required=True, help='folder of what `evaluate --summary` wrote'
    )
    sub.set_defaults(run=_tables)

    sub = stage('robustness', 'Measure a checkpoint through the faults of trackers.')
    sub.add_argument('--checkpoint', default='default', help='"default" or a file')
    sub.add_argument('--archive', type=Path, required=True, help='motion archive (.npz)')
    sub.add_argument('--samples', type=_count, default=50)
    sub.add_argument('--stride', type=_count, default=30, help='frames between window starts')
    sub.add_argument('--json', type=Path, help='file for the results')
    sub.add_argument('--markdown', type=Path, help='file for the results as a page to read')
    sub.set_defaults(run=_robustness)

    sub = stage('shield', 'Measure what sets are worth to an arm that stops for people.')
    sub.add_argument('--checkpoint', default='default', help='"default" or a file')
    sub.add_argument('--archive', type=Path, required=True, help='people beside the arm (.npz)')
    sub.add_argument(
        '--calibration',
        type=Path,
        nargs='+',
        required=True,
        help='other people, to calibrate the sets of zero and constant velocity on (.npz)',
    )
    sub.add_argument(
        '--coverages', type=float, nargs='+', help='default: all that the checkpoint carries'
    )
    sub.add_argument('--scenes', type=_count, default=20_000, help='control cycles that are drawn')
    sub.add_argument('--samples', type=_count, default=50)
    sub.add_argument('--stride', type=_count, default=12, help='frames between window starts')
    sub.add_argument('--seed', type=int, default=0)
    sub.add_argument(
        '--seen', nargs='+', default=[], metavar='SUBJECT', help='more subjects to leave out'
    )
    sub.add_argument('--json', type=Path, help='file for the results')
    sub.add_argument('--markdown', type=Path, help='file for the results as a page to read')
    sub.add_argument('--plot', type=Path, help='file for a plot of time lost against misses')
    configurable(sub)
    sub.set_defaults(run=_shield)

    sub = stage('import', 'Turn official weights (.pt) into a checkpoint.')
    sub.add_argument('kind', choices=('transfusion', 'swiftdiff'))
    sub.add_argument('--weights', type=Path, required=True, help='state dict (.pt)')
    sub.add_argument('--preset', choices=PRESETS, required=True, help='data set and sizes')
    sub.add_argument('--out', type=Path, required=True, help='checkpoint to write')
    for size in ('layers', 'width', 'heads', 'ff-width', 'ddim-steps'):
        sub.add_argument(f'--{size}', type=int, help='instead of the published size')
    sub.add_argument(
        '--sampling',
        choices=('one_step', 'ddim'),
        default='one_step',
        help='ddim: a TransFusion that needs all its steps, to be evaluated',
    )
    sub.set_defaults(run=_import)

    sub = stage('inspect', 'Say what is in a motion archive.')
    sub.add_argument('archive', type=Path, help='motion archive (.npz)')
    sub.add_argument(
        '--others',
        type=Path,
        nargs='+',
        default=[],
        help='archives to look for the same people in',
    )
    sub.add_argument('--json', type=Path, help='file for the results')
    sub.set_defaults(run=_inspect)

    sub = stage('generate', "Make a motion archive of a model's own motion.")
    sub.add_argument('--checkpoint', default='default', help='"default" or a file')
    sub.add_argument(
        '--archive', default='bundled', help='motion to start from: "bundled" or a file (.npz)'
    )
    sub.add_argument('--clips', type=_count, default=3)
    sub.add_argument('--seconds', type=float, default=10.0, help='length of each clip')
    sub.add_argument('--seed', type=int, default=0)
    sub.add_argument('--out', type=Path, required=True, help='motion archive to write')
    sub.set_defaults(run=_generate)
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not 1 or more')
    return value


def _direct(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        '--direct', action='store_true', help='learn from the multi-step teacher: no one-step'
    )


def _settable(sub: argparse.ArgumentParser, metavar: str) -> None:
    sub.add_argument(
        '--set', action='append', default=[], metavar=metavar, help='override the configuration'
    )


def _say_where(arguments: argparse.Namespace) -> None:
    """Print where the results of a command lie."""
    for name in ('out', 'record', 'json', 'markdown', 'plots', 'plot'):
        if (path := getattr(arguments, name, None)) is not None:
            print(f'written: {path}')


def main(argv: list[str] | None = None) -> int:
    """Run a stage; what cannot be done is one sentence on stderr and exit status 2."""
    arguments = _parser().parse_args(argv)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    try:
        with processes():
            arguments.run(arguments)
            if is_first():
                _say_where(arguments)
    except ModuleNotFoundError as error:
        print(
            f'train {arguments.stage}: the Python package {error.name} is missing: '
            f'`pip install {error.name}` brings it',
            file=sys.stderr,
        )
        return 2
    except (ValueError, OSError) as error:  # ours all derive from the former
        print(f'train {arguments.stage}: {error}', file=sys.stderr)
        return 2
    return 0
