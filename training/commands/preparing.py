"""The command `train prepare`, which makes motion archives from recordings."""

import argparse
from pathlib import Path

from motion_predictor.common.arguments import number
from motion_predictor.common.terminal import say
from motion_predictor.skeleton import known_layouts
from motion_predictor.sources.catalogue import INPUT_TYPES
from motion_predictor.sources.point_cloud import FIELDS
from motion_predictor_training.commands.arguments import Stages, add_out
from motion_predictor_training.data.importers.clips import MAX_RATE_HZ

RATE_HZ = number(0.001, MAX_RATE_HZ)


def add_prepare(stages: Stages) -> None:
    """Add the subcommand `prepare`, with a subcommand for each kind of source, to `train`."""
    summary = 'Make a motion archive from recordings.'
    prepare = stages.add_parser('prepare', help=summary, description=summary)
    sources = prepare.add_subparsers(dest='source_kind', required=True, metavar='SOURCE')

    def source(name: str, summary: str, files: str, many: bool = True) -> argparse.ArgumentParser:
        sub = sources.add_parser(name, help=summary, description=summary)
        sub.add_argument('source', type=Path, nargs='+' if many else None, help=files)
        add_out(sub, 'motion archive to write (.npz)')
        sub.add_argument(
            '--subjects', nargs='+', metavar='NAME', help='people to keep (default: all)'
        )
        return sub

    sub = source(
        'human36m', 'Human3.6M, as VideoPose3D prepares it.', 'data_3d_h36m.npz', many=False
    )
    sub.set_defaults(run=_human36m)

    sub = source(
        'amass',
        'AMASS: the arrays of the BeLFusion split, or the downloaded files.',
        'data_3d_amass.npz, a folder of preprocessed data sets, or a folder of raw recordings',
        many=False,
    )
    sub.add_argument(
        '--body-models',
        type=Path,
        metavar='FOLDER',
        help='folder with smplh/ and smplx/, for raw recordings',
    )
    _add_rate(sub)
    sub.set_defaults(run=_amass)

    sub = source('bvh', 'BVH files of any rig.', '.bvh files, or folders of them')
    sub.add_argument(
        '--mapping', required=True, metavar='NAME', help='cmu, lafan1, or a .yaml file like these'
    )
    _add_rate(sub)
    sub.set_defaults(run=_bvh)

    sub = source('rosbag', 'Skeleton topics in a rosbag2 (sqlite3 or MCAP).', 'bags')
    sub.add_argument('--topic', help='topic to read, if the bag has several')
    sub.add_argument(
        '--input-type',
        choices=INPUT_TYPES,
        help="type of the source, like the predictor's parameter (default: chosen by the "
        'message type)',
    )
    sub.add_argument(
        '--input-layout',
        default='',
        metavar='NAME',
        help='layout of the joints, if the messages do not name it: a name or a .yaml file',
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
        help=f'fields of a point_cloud (default: {" ".join(FIELDS)})',
    )
    sub.add_argument(
        '--marker-separator',
        default=':',
        metavar='TEXT',
        help='text between person and joint in the names of mocap4r2',
    )
    _add_layout(sub, 'layout to map the joints to (default: as recorded)')
    _add_rate(sub)
    sub.add_argument(
        '--max-gap-s',
        type=number(0.001, 1e6),
        default=0.3,
        help='a longer gap starts a new clip, in seconds',
    )
    sub.add_argument(
        '--min-confidence',
        type=float,
        default=0.0,
        help='joints with less confidence count as missing',
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
        '--optical',
        action='store_true',
        help='the recorded frame is the optical frame of a level camera',
    )
    sub.set_defaults(run=_rosbag)

    sub = source('npz', 'Plain arrays (frames, joints, 3) or (clips, frames, joints, 3).', 'files')
    sub.add_argument(
        '--rate-hz', type=RATE_HZ, required=True, help='frames per second of the files'
    )
    _add_layout(sub, 'layout of the joints, or the one to map --joint-names to')
    sub.add_argument(
        '--joint-names', nargs='+', metavar='NAME', help='joints, in the order of the array'
    )
    sub.add_argument('--key', help='array to read, if a file has several')
    sub.add_argument(
        '--scale-to-metres',
        type=number(1e-6, 1e6),
        default=1.0,
        help='metres of one unit of the file: 0.001 for mm',
    )
    sub.add_argument('--up', choices=('y', 'z'), default='z', help='axis that points up')
    sub.add_argument(
        '--zeros-are-missing',
        action='store_true',
        help='joints at exactly 0, 0, 0 count as missing',
    )
    sub.set_defaults(run=_npz)

    sub = source('join', 'Join motion archives of the same layout and rate.', 'archives')
    sub.add_argument(
        '--without', nargs='+', default=(), metavar='NAME', help='people to leave out'
    )
    sub.set_defaults(run=_join)

    summary = 'Split archives by people, so that everybody has one use only.'
    sub = sources.add_parser('split', help=summary, description=summary)
    sub.add_argument('source', type=Path, nargs='+', help='motion archives (.npz)')
    sub.add_argument(
        '--split',
        type=Path,
        required=True,
        help='a YAML file, or the name of one that ships, like cmu',
    )
    add_out(sub, 'folder for the archives, one for each use')
    sub.set_defaults(run=_split)


def _add_rate(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        '--rate-hz', type=RATE_HZ, default=60.0, help='frames per second of the archive'
    )


def _add_layout(sub: argparse.ArgumentParser, purpose: str) -> None:
    sub.add_argument('--layout', choices=sorted(known_layouts()), help=purpose)


# Importers are loaded only when they are needed, because some import large packages.


def _human36m(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.importers.human36m import import_human36m

    say(import_human36m(arguments.source, arguments.subjects, arguments.out))


def _amass(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.importers.amass import import_amass

    say(
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
    say(
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
    say(import_rosbag(arguments.source, options, arguments.subjects, arguments.out))


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
    say(import_plain(arguments.source, form, arguments.subjects, arguments.out))


def _join(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.importers.join import join_archives

    say(join_archives(arguments.source, arguments.subjects, arguments.without, arguments.out))


def _split(arguments: argparse.Namespace) -> None:
    from motion_predictor_training.data.split import split_archives

    say('\n'.join(split_archives(arguments.source, arguments.split, arguments.out)))
