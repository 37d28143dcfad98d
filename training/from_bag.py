# SPDX-License-Identifier: Apache-2.0
"""Turn a ROS 2 recording of your own robot into a data set to fine-tune on.

Each image is paired with the lidar cloud (or registered depth image) nearest in time. Clouds are
projected into the image through the recording's /tf_static and camera_info; lens distortion is
taken out, so that the written images are pinhole images. The result is a folder with image/,
depth/ (16-bit PNG, metres x 256) and manifest.csv, which `manifest@FOLDER` opens everywhere.
Started again, an interrupted conversion continues where it stopped.

Examples, from the repository root:

  python -m training.from_bag drive_1 --image-topic /camera/image_raw \\
      --points-topic /lidar/points --out recordings/drive_1
  python -m training.from_bag drive_1 --image-topic /color/image_raw/compressed \\
      --depth-topic /aligned_depth_to_color/image_raw --out recordings/drive_1
  python -m training.inspect manifest@recordings/drive_1     # then look at it: do edges fit?

What to watch: the camera and the lidar must share a clock; at 10 m/s, 20 ms are 0.2 m. Scans are
not corrected for the robot's motion.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from rich.progress import Progress

from lightdepth_ros import terminal
from lightdepth_ros.bag import recording as rec
from lightdepth_ros.bag.recording import Recording, open_recording
from lightdepth_ros.errors import ConfigError, DataError, LightdepthError
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.calibration import info_beside, kind_of_topic
from lightdepth_ros.stream.transforms import Transforms, pose_matrix
from training.bag.conversion import (
    Converter,
    LidarPose,
    Options,
    Tally,
    claim_folder,
    pairs,
    write_manifest,
)
from training.bag.geometry import View, view_from
from training.bag.mounting import Mounts

TF_STATIC = '/tf_static'


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        prog='python -m training.from_bag',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = p.add_argument
    add('bag', type=Path, help='folder that `ros2 bag record` wrote (mcap or sqlite3)')
    add('--image-topic', required=True, help='sensor_msgs/Image or CompressedImage')
    add(
        '--camera-info-topic',
        help="default: camera_info beside the image topic; '' = not calibrated",
    )
    add('--points-topic', default='', help='sensor_msgs/PointCloud2 of a lidar')
    add('--depth-topic', default='', help='depth image registered to the camera, 32FC1 or 16UC1')
    add('--out', type=Path, required=True, help='folder to write')
    add(
        '--tolerance-s',
        type=float,
        default=0.02,
        help='largest time between image and measurement, seconds (default 0.02); images without '
        'a partner are left out',
    )
    add('--every', type=int, default=1, help='take each N-th image only (default 1)')
    add(
        '--val-fraction',
        type=float,
        default=0.1,
        help='the last part of the drive that becomes split "val" (default 0.1)',
    )
    add(
        '--image-kind',
        choices=('auto', 'raw', 'rectified'),
        default='auto',
        help='whether lens distortion is still in the images; auto: rectified if the topic is '
        'named *rect*',
    )
    add('--image-format', choices=('jpg', 'png'), default='jpg', help='of the images (jpg)')
    add(
        '--lidar-to-camera',
        type=float,
        nargs=7,
        default=(),
        metavar=('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW'),
        help='pose of the lidar in the camera optical frame (x right, y down, z forward), where '
        'the recording has no /tf_static',
    )
    add(
        '--camera-height-m',
        type=float,
        metavar='M',
        help='height of the lens over the ground, if it is the same for the whole drive',
    )
    add('--camera-pitch-deg', type=float, metavar='DEG', help='how far it looks down (default 0)')
    add(
        '--camera-roll-deg',
        type=float,
        metavar='DEG',
        help='how far its right side is tilted down (default 0)',
    )
    add(
        '--ground-frame',
        default='',
        metavar='FRAME',
        help='take height and tilt of each image from /tf and /tf_static instead: the level frame '
        'on the ground, such as base_footprint',
    )
    return p


def mount_from(args: argparse.Namespace) -> tuple[float, ...]:
    """Return height, pitch and roll of the flags; empty where the height is not given."""
    tilt = args.camera_pitch_deg, args.camera_roll_deg
    if args.camera_height_m is None:
        if tilt != (None, None):
            raise ConfigError('--camera-pitch-deg and --camera-roll-deg need --camera-height-m')
        return ()
    if args.ground_frame:
        raise ConfigError(
            '--camera-height-m and --ground-frame both say where the camera is; give one of them'
        )
    pitch, roll = (angle or 0.0 for angle in tilt)
    Mount(args.camera_height_m, pitch, roll)  # refuses what cannot be
    return args.camera_height_m, pitch, roll


def options_from(args: argparse.Namespace) -> Options:
    """Check the flags that need no recording and return the options."""
    if args.points_topic and args.depth_topic:
        raise ConfigError('--points-topic and --depth-topic are both given; depth comes from one')
    if args.every < 1 or args.tolerance_s < 0 or not 0 <= args.val_fraction < 1:
        raise ConfigError(
            f'--every is {args.every} (at least 1), --tolerance-s {args.tolerance_s} (at least '
            f'0), --val-fraction {args.val_fraction} (0 or more, below 1)'
        )
    info = args.camera_info_topic
    return Options(
        bag=str(args.bag.resolve()),
        image_topic=args.image_topic,
        camera_info_topic=info_beside(args.image_topic) if info is None else info,
        points_topic=args.points_topic,
        depth_topic=args.depth_topic,
        image_kind=kind_of_topic(args.image_topic, args.image_kind),
        tolerance_s=args.tolerance_s,
        every=args.every,
        image_format=args.image_format,
        lidar_to_camera=tuple(args.lidar_to_camera),
        mount=mount_from(args),
        ground_frame=args.ground_frame,
    )


def check_topics(recording: Recording, options: Options) -> None:
    """Refuse topics that the recording does not have; the error lists those it has."""
    recording.require(options.image_topic, rec.IMAGE_TYPES, '--image-topic')
    if options.points_topic:
        recording.require(options.points_topic, rec.POINTS_TYPES, '--points-topic')
    if options.depth_topic:
        recording.require(options.depth_topic, rec.DEPTH_TYPES, '--depth-topic')


def view_in(recording: Recording, options: Options, asked: bool) -> View:
    """Return the calibration from the first camera_info. asked: the user named the topic."""
    topic = options.camera_info_topic
    needed = asked or bool(options.points_topic)
    if topic and (needed or recording.has(topic)):
        recording.require(topic, rec.INFO_TYPES, '--camera-info-topic')
        view = view_from(recording.first(topic), options.image_kind)
    else:
        view = View(None)
    if view.camera is None and options.points_topic:
        raise DataError(
            f'a lidar cannot be projected without a calibration, and {topic or "no topic"} has '
            'K = 0 or was switched off: calibrate the camera, or name the right topic with '
            '--camera-info-topic'
        )
    return view


def lidar_pose(recording: Recording, options: Options) -> LidarPose:
    """Return where the lidar is, from the flag or from /tf_static."""
    if options.lidar_to_camera:
        fixed = pose_matrix(options.lidar_to_camera[:3], options.lidar_to_camera[3:])
        return lambda camera_frame, lidar_frame: fixed
    transforms = Transforms(rec.UNRECORDED_POSE)
    if recording.has(TF_STATIC):
        recording.require(TF_STATIC, rec.TF_TYPES, 'static transforms')
        for recorded in recording.messages([TF_STATIC]):
            transforms.add_message(recorded.message)
    return lru_cache(maxsize=None)(transforms.lookup)


def convert(recording: Recording, options: Options, out: Path, view: View) -> Tally:
    """Convert every pair, with a progress bar over the messages."""
    mounts = Mounts(options.mount, options.ground_frame, recording)
    converter = Converter(options, out, view, lidar_pose(recording, options), mounts)
    topics = [options.image_topic, options.measurement_topic]
    with Progress() as progress:
        task = progress.add_task('converting', total=recording.count(topics))
        try:
            for pair in pairs(recording, options, mounts, lambda: progress.advance(task)):
                converter.take(pair)
        except rec.DamagedRecordingError as error:
            converter.tally.cut_short = str(error)
    converter.tally.undecodable = recording.unreadable
    return converter.tally


def report(tally: Tally, view: View, out: Path) -> str:
    """Return what became of the images, and what to do next, as text."""
    lines = [
        f'{len(tally.rows)} frames in {out}: {tally.written} written now, {tally.kept} there '
        f'already; {tally.unpaired} images without a measurement near enough, '
        f'{len(tally.damaged)} unusable'
    ]
    lines += [f'  unusable: {text}' for text in tally.damaged[:3]]
    if tally.undecodable:
        lines.append(f'{tally.undecodable} messages could not be decoded')
    if view.camera is None:
        lines.append('not calibrated: depth will be learnt up to scale only')
    if tally.offsets_ms:
        worst = max(tally.offsets_ms, key=abs)
        lines.append(
            f'measurement minus image: median {np.median(tally.offsets_ms):+.1f} ms, largest '
            f'{worst:+.1f} ms'
        )
    if tally.coverage:
        lines.append(f'pixels with depth: median {np.median(tally.coverage):.2%}')
    lines.append(f'next: python -m training.inspect manifest@{out}')
    return '\n'.join(lines)


def check_result(tally: Tally, options: Options) -> None:
    """Refuse a conversion that gave nothing to learn from."""
    if not tally.rows:
        first = f' The first unusable one: {tally.damaged[0]}.' if tally.damaged else ''
        raise DataError(
            f'no image of {options.image_topic} could be converted: {tally.unpaired} have no '
            f'message of {options.measurement_topic or "-"} within {options.tolerance_s} s '
            f'(--tolerance-s), {len(tally.damaged)} are unusable.{first} {tally.cut_short}'
        )
    if tally.coverage and max(tally.coverage) == 0:
        raise DataError(
            'not a single measurement falls into an image: the transforms, the frames or the '
            'calibration are wrong. An optical frame has x right, y down, z forward'
        )


def run(args: argparse.Namespace) -> None:
    """Convert the recording that the flags name."""
    options = options_from(args)
    with open_recording(args.bag) as recording:
        check_topics(recording, options)
        view = view_in(recording, options, asked=bool(args.camera_info_topic))
        claim_folder(args.out, options)
        tally = convert(recording, options, args.out, view)
    check_result(tally, options)
    write_manifest(args.out, tally, args.val_fraction)
    print(report(tally, view, args.out))
    if tally.cut_short:
        raise DataError(f'only the beginning was converted: {tally.cut_short}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    args = parser().parse_args(argv)
    try:
        run(args)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('interrupted: start it again to continue from here', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
