"""The `prepare` stage: makes motion archives of recordings."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motion_predictor.skeleton import known_layouts
from motion_predictor.sources.catalogue import INPUT_TYPES
from motion_predictor.sources.point_cloud import FIELDS
from motion_predictor_training.data.importers.clips import MAX_RATE_HZ

if TYPE_CHECKING:
    Stages = argparse._SubParsersAction[argparse.ArgumentParser]


def add_prepare(stages: 'Stages') -> None:
    """Add the stage and its sources to the subcommands of `train`."""
    summary = 'Make a motion archive of recordings from elsewhere.'
    prepare = stages.add_parser('prepare', help=summary, description=summary)
    sources = prepare.add_subparsers(dest='source_kind', required=True, metavar='SOURCE')

    def source(name: str, summary: str, files: str, many: bool = True) -> argparse.ArgumentParser:
        sub = sources.add_parser(name, help=summary, description=summary)
        sub.add_argument('source', type=Path, nargs='+' if many else None, help=files)
        sub.add_argument('--out', type=Path, required=True, help='motion archive to write (.npz)')
        sub.add_argument(
            '--subjects', nargs='+', metavar='NAME', help='people to take (default: all)'
        )
        return sub

    sub = source('human36m', 'Human3.6M as VideoPose3D makes it.', 'data_3d_h36m.npz', many=False)
    sub.set_defaults(run=_human36m)

    sub = source(
        'amass',
        'AMASS: the arrays of the BeLFusion split, or the files as they are downloaded.',
        'data_3d_amass.npz, a folder of preprocessed data sets, or of raw recordings',
        many=False,
    )
    sub.add_argument(
        '--body-models', type=Path, metavar='FOLDER', help='with smplh/ and smplx/, for raw files'
    )
    _add_rate(sub)
    sub.set_defaults(run=_amass)

    sub = source('bvh', 'BVH files of any rig.', '.bvh files, or folders of them')
    sub.add_argument(
        '--mapping', required=True, metavar='NAME', help='cmu, lafan1, or a .yaml like theirs'
    )
    _add_rate(sub)
    sub.set_defaults(run=_bvh)

    sub = source('rosbag', 'Recorded skeleton topics: rosbag2, sqlite3 or MCAP.', 'bags')
    sub.add_argument('--topic', help='needed where a bag has several skeleton topics')
    sub.add_argument(
        '--input-type',
        choices=INPUT_TYPES,
        help="what sent the messages, as the predictor's parameter (default: by their type)",
    )
    sub.add_argument(
        '--input-layout',
        default='',
        metavar='NAME',
        help='layout of their joints, known or a .yaml, where messages do not say it',
    )
    sub.add_argument(
        '--joint-names',
        nargs='+',
        default=(),
        metavar='NAME',
        help='joints of a pose_array or a point_cloud, in order',
    )
    sub.add_argument(
        '--point-fields',
        nargs='+',
        default=FIELDS,
        metavar='NAME',
        help=f'fields of a point_cloud ({" ".join(FIELDS)})',
    )
    sub.add_argument(
        '--marker-separator',
        default=':',
        metavar='TEXT',
        help="between person and joint in mocap4r2's names (:)",
    )
    _add_layout(sub, 'layout to map the joints to (default: as recorded)')
    _add_rate(sub)
    sub.add_argument(
        '--max-gap-s', type=_positive, default=0.3, help='a longer gap starts a new clip (0.3)'
    )
    sub.add_argument(
        '--min-confidence', type=float, default=0.0, help='less sure joints are missing (0)'
    )
    turns = sub.add_mutually_exclusive_group()
    turns.add_argument(
        '--rotation',
        nargs=4,
        type=float,
        metavar=('X', 'Y', 'Z', 'W'),
        help='quaternion that turns the recorded frame so that z points up',
    )
    turns.add_argument(
        '--optical', action='store_true', help='recorded in the optical frame of a level camera'
    )
    sub.set_defaults(run=_rosbag)

    sub = source('npz', 'Plain arrays (frames, joints, 3) or (clips, frames, joints, 3).', 'files')
    sub.add_argument('--rate-hz', type=_rate, required=True, help='frames per second of the files')
    _add_layout(sub, 'layout of the joints, or to map --joint-names to')
    sub.add_argument('--joint-names', nargs='+', metavar='NAME', help='in the order of the array')
    sub.add_argument('--key', help='array to read, where a file has several')
    sub.add_argument(
        '--scale-to-metres', type=_positive, default=1.0, help='metres a unit (1; 0.001 for mm)'
    )
    sub.add_argument('--up', choices=('y', 'z'), default='z', help='axis that points up (z)')
    sub.add_argument(
        '--zeros-are-missing',
        action='store_true',
        help='joints at exactly 0, 0, 0 were not measured',
    )
    sub.set_defaults(run=_npz)

    sub = source('join', 'Motion archives of one layout and rate, as one.', 'archives')
    sub.add_argument(
        '--without', nargs='+', default=(), metavar='NAME', help='people to leave out'
    )
    sub.set_defaults(run=_join)

    summary = 'Split archives by people, so that nobody serves two uses.'
    sub = sources.add_parser('split', help=summary, description=summary)
    sub.add_argument('source', type=Path, nargs='+', help='motion archives (.npz)')
    sub.add_argument(
        '--split', type=Path, required=True, help='a YAML file, or one that ships, as cmu'
    )
    sub.add_argument('--out', type=Path, required=True, help='folder for an archive a use')
    sub.set_defaults(run=_split)


def _add_rate(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        '--rate-hz', type=_rate, default=60.0, help='frames per second of the archive (60)'
    )


def _add_layout(sub: argparse.ArgumentParser, purpose: str) -> None:
    sub.add_argument('--layout', choices=sorted(known_layouts()), help=purpose)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text} is not a positive number')
    return value


def _rate(text: str) -> float:
    value = _positive(text)
    if value > MAX_RATE_HZ:
        raise argparse.ArgumentTypeError(f'{text} is more than {MAX_RATE_HZ:g} frames per second')
    return value


# Importers are loaded on demand.


def _human36m(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.importers.human36m import import_human36m

    print(import_human36m(arguments.source, arguments.subjects, arguments.out))


def _amass(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.importers.amass import import_amass

    print(
        import_amass(
            arguments.source,
            arguments.subjects,
            arguments.out,
            arguments.body_models,
            arguments.rate_hz,
        )
    )


def _bvh(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.importers.bvh import import_bvh, read_mapping

    mapping = read_mapping(arguments.mapping)
    print(
        import_bvh(arguments.source, mapping, arguments.subjects, arguments.rate_hz, arguments.out)
    )


def _rosbag(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.importers.bag_axes import OPTICAL
    from motion_predictor_training.data.importers.bag_reading import BagOptions
    from motion_predictor_training.data.importers.rosbag import import_rosbag

    options = BagOptions(
        topic=arguments.topic,
        input_type=arguments.input_type,
        input_layout=arguments.input_layout,
        joint_names=arguments.joint_names,
        point_fields=arguments.point_fields,
        marker_separator=arguments.marker_separator,
        layout=arguments.layout,
        rate_hz=arguments.rate_hz,
        max_gap_s=arguments.max_gap_s,
        min_confidence=arguments.min_confidence,
        rotation=OPTICAL if arguments.optical else arguments.rotation,
    )
    print(import_rosbag(arguments.source, options, arguments.subjects, arguments.out))


def _npz(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.importers.plain import PlainFormat, import_plain

    form = PlainFormat(
        rate_hz=arguments.rate_hz,
        layout=arguments.layout,
        joint_names=arguments.joint_names,
        key=arguments.key,
        scale_to_metres=arguments.scale_to_metres,
        up=arguments.up,
        zeros_are_missing=arguments.zeros_are_missing,
    )
    print(import_plain(arguments.source, form, arguments.subjects, arguments.out))


def _join(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.importers.join import join_archives

    print(join_archives(arguments.source, arguments.subjects, arguments.without, arguments.out))


def _split(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.split import split_archives

    print('\n'.join(split_archives(arguments.source, arguments.split, arguments.out)))
