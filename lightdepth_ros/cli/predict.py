# SPDX-License-Identifier: Apache-2.0
"""`lightdepth predict`: depth, labels and point clouds of pictures and videos, without ROS."""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import MofNCompleteColumn, Progress
from rich.table import Table

from lightdepth_ros import draw, files
from lightdepth_ros.camera import Camera
from lightdepth_ros.cli.camera import add_camera_flags, view_chooser
from lightdepth_ros.cli.rerun_file import RerunFile
from lightdepth_ros.cli.settings import add_setting_flags, config_from
from lightdepth_ros.config import ANCHORS, NodeConfig
from lightdepth_ros.errors import (
    BadCameraError,
    BadImageError,
    ConfigError,
    DataError,
    EngineError,
)
from lightdepth_ros.perception import cloud
from lightdepth_ros.perception.anchoring import ground_bend
from lightdepth_ros.perception.lens import Lens, ViewOf
from lightdepth_ros.perception.loading import load_perception
from lightdepth_ros.perception.navigation import class_mask
from lightdepth_ros.perception.perception import PARTS, Bend, Frame, Perception
from lightdepth_ros.perception.point_filter import without_flying
from lightdepth_ros.perception.preprocess import Preprocessor

SETTINGS = (
    'output_resolution',
    'publish_size',
    'fit',
    'student',
    'model',
    'backend',
    'threads',
    'input_width',
    'input_height',
    'depth_scale',
    'min_range_m',
    'max_range_m',
    'min_confidence',
    'point_filter',
    'horizontal_fov_deg',
    'camera_height_m',
    'camera_pitch_deg',
    'camera_roll_deg',
    'anchor',
)
DEFAULTS = {'fit': 'adapt'}
"""A picture on disk has no fixed camera mode, so here the network adapts to its shape."""
PICTURE_WIDTH, PICTURE_PIXELS = 900, 4_000_000
"""Pictures for people are enlarged by a whole factor to at least this width, as long as they have
no more pixels than that: narrow ones would grow without end."""

DESCRIPTION = """\
Predict depth and labels for a picture, every picture of a folder, or a video.
For each frame NAME these files are written to the output folder:

  NAME_depth.png        16 bit, metres x 256 (KITTI's format). 0 = no value: unknown, too near,
                        and also sky and beyond range
  NAME_depth_color.png  depth in colours, with a scale bar in metres
  NAME_label.png        8 bit, Cityscapes train ids; 255 = unlabelled
  NAME_overlay.png      the labels over the picture, with a legend
  NAME_cloud.ply        coloured and labelled points in metres, if the camera is known
"""
EPILOG = """\
Metres need the focal length. Give it in pixels (--fx), as a ROS calibration (--camera-yaml), or
as the angle that the picture shows from left to right (--fov-deg: phones and webcams 60 to 70,
dash cams 90 to 120). Without it depth is right only up to one constant factor, and no cloud is
written. A camera that stands lower or higher than a car's needs its height over the ground too
(--camera-height-m, and --camera-pitch-deg where it looks down).

examples:
  lightdepth predict photo.jpg --fov-deg 65
  lightdepth predict robot.jpg --fov-deg 80 --camera-height-m 0.35 --camera-pitch-deg 10
  lightdepth predict drive/ --fx 721.5 --cx 609.6 --cy 172.9 --out out/drive
  lightdepth predict dashcam.mp4 --camera-yaml dashcam.yaml --output-resolution M

The exit code is 0 only when no frame was skipped.
"""


def parser(prog: str) -> argparse.ArgumentParser:
    """Return the parser of this subcommand."""
    result = argparse.ArgumentParser(
        prog=prog,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument('input', type=Path, metavar='IMAGE|FOLDER|VIDEO')
    result.add_argument(
        '--out',
        type=Path,
        default=Path('lightdepth_out'),
        metavar='DIR',
        help='Output folder; it is made if it does not exist. Default: %(default)s.',
    )
    result.add_argument(
        '--rerun',
        type=Path,
        metavar='FILE.rrd',
        help='Also write a recording for the Rerun viewer; needs the package rerun-sdk.',
    )
    add_camera_flags(result)
    add_setting_flags(result.add_argument_group('settings'), SETTINGS, DEFAULTS)
    return result


@dataclass(frozen=True)
class Source:
    """Frames to come, as name and a file to read or an image; total = how many, 0 = unknown."""

    total: int
    frames: Iterator[tuple[str, Path | np.ndarray]]


@dataclass
class Tally:
    """What has happened so far; `ms` holds one row of timings for each frame written. `rerun`:
    the recording that is written beside the files, if any."""

    rerun: RerunFile | None = None
    skipped: list[tuple[str, str]] = field(default_factory=list)
    ms: list[dict[str, float]] = field(default_factory=list)


def run(args: argparse.Namespace) -> int:
    """Predict everything; return 0, or 1 when a frame was skipped."""
    console = Console(highlight=False)
    config = config_from(args, SETTINGS)
    view_of = view_chooser(args, config.horizontal_fov_deg)
    source = open_source(args.input)
    files.check_writable(args.out)
    bend_of(config)  # refused before a model is loaded
    perception = load_perception(config, console.print)
    _announce(console, perception, view_of, config)
    tally = Tally(RerunFile(args.rerun) if args.rerun else None)
    try:
        _predict_all(console, source, perception, view_of, args, tally, bend_of(config))
    finally:
        if tally.rerun is not None:
            tally.rerun.close()
        _summarise(console, tally, args.out)
        perception.close()
    return 1 if tally.skipped else 0


def bend_of(config: NodeConfig) -> Bend | None:
    """Return what bends depth to the ground, if --anchor says so; a picture has no sensors."""
    if not config.anchors:
        return None
    if config.anchors != (ANCHORS[0],) or config.fixed_mount is None:
        raise ConfigError(
            f'--anchor is {config.anchor!r}; pictures can be anchored to the ground alone: give '
            '--anchor ground with --camera-height-m. Scans and clouds need the node.'
        )
    return ground_bend(class_mask(config.classes_ground))


def open_source(path: Path) -> Source:
    """Return the frames of a picture, folder or video; DataError when it is none of them."""
    if path.is_dir():
        found = files.images_in(path)
        return Source(len(found), iter(_named(found)))
    if files.is_image(path):
        if not path.is_file():
            raise DataError(f'{path} does not exist; give a picture, a folder or a video')
        return Source(1, iter([(path.stem, path)]))
    video = files.Video(path)
    numbered = ((f'{path.stem}_{i:06d}', rgb) for i, rgb in enumerate(video.frames()))
    return Source(video.frame_count, numbered)


def _named(paths: list[Path]) -> list[tuple[str, Path | np.ndarray]]:
    """Name each picture by its stem, or with its suffix where two would share a name."""
    count = Counter(path.stem for path in paths)
    return [(p.stem if count[p.stem] == 1 else p.name.replace('.', '_'), p) for p in paths]


def _announce(
    console: Console, perception: Perception, view_of: ViewOf | None, config: NodeConfig
) -> None:
    engine = perception.engine
    contract = engine.contract
    console.print(
        f'Model: {contract.student} network, exit {contract.exit} '
        f'(outputs are 1/{contract.stride} of its input), on {engine.backend}, {engine.device}.'
    )
    resolution = config.output_resolution
    if resolution != contract.exit:
        console.print(
            f'[yellow]--model names one file, of exit {contract.exit}:[/] '
            f'output resolution {resolution} has no effect. Name its folder to choose.'
        )
    if view_of is None:
        console.print(
            '[yellow]The camera is not known:[/] depth is right only up to one constant factor, '
            'and no point cloud is written. Give --fov-deg, --fx or --camera-yaml.'
        )
    elif contract.takes_ground and config.fixed_mount is None:
        console.print(
            '[yellow]The height of the camera is not known:[/] depth may be off by a factor, more '
            'so the less the camera stands like one on a car. Give --camera-height-m.'
        )


def _predict_all(
    console: Console,
    source: Source,
    perception: Perception,
    view_of: ViewOf | None,
    args: argparse.Namespace,
    tally: Tally,
    bend: Bend | None,
) -> None:
    """Write the files of every frame; bad frames are counted, a full disk ends it."""
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task('predict', total=source.total or None)
        try:
            for name, item in source.frames:
                try:
                    _predict_one(name, item, perception, view_of, args, bend, tally)
                except (BadImageError, BadCameraError, EngineError) as error:
                    tally.skipped.append((name, str(error)))
                progress.advance(task)
        except files.WriteError:
            raise
        except DataError as error:  # a video that ends early
            tally.skipped.append((args.input.name, str(error)))


def _predict_one(
    name: str,
    item: Path | np.ndarray,
    perception: Perception,
    view_of: ViewOf | None,
    args: argparse.Namespace,
    bend: Bend | None,
    tally: Tally,
) -> None:
    started = perf_counter()
    rgb = files.read_rgb(item) if isinstance(item, Path) else item
    view = None if view_of is None else view_of((rgb.shape[0], rgb.shape[1]))
    frame = perception.predict(rgb, view, PARTS, bend=bend)
    shown = enlarged(perception, rgb, view, args.fit)
    if args.publish_size == 'camera' and frame.rgb is not None:
        large, shown = perception.at_camera_size(frame.prediction, rgb, view, frame.rgb)
        frame = dataclasses.replace(frame, prediction=large, rgb=shown)
    files.write_files(contents(frame, shown, args.out / name, args.point_filter))
    if tally.rerun is not None:
        tally.rerun.add(name, frame, args.point_filter)
    total = (perf_counter() - started) * 1e3
    tally.ms.append({**frame.timings_ms, 'all, with reading, drawing and writing': total})


def enlarged(
    perception: Perception, rgb: np.ndarray, view: Camera | Lens | None, fit: str
) -> np.ndarray:
    """Return what the network saw of `rgb`, large enough for people: (H, W, 3) uint8."""
    height, width = perception.network_hw((rgb.shape[0], rgb.shape[1]))
    room = math.isqrt(PICTURE_PIXELS // (height * width))
    factor = max(1, min(math.ceil(PICTURE_WIDTH / width), room))
    size_hw = (height * factor, width * factor)
    shape_fit = 'pad' if fit == 'pad' else 'crop'
    large: np.ndarray = Preprocessor(size_hw, shape_fit, 1, 1).prepare(rgb, view).batch[0]
    return large


def contents(
    frame: Frame, shown: np.ndarray, stem: Path, point_filter: float
) -> dict[Path, bytes]:
    """Return the files of one frame, path -> bytes; `shown` is the large picture."""
    prediction = frame.prediction
    label = prediction.label_id
    if label is None:
        raise ValueError('the frame has no labels; ask for all outputs')
    picture_hw = (shown.shape[0], shown.shape[1])
    result = {
        'depth.png': files.depth_png(prediction.depth_m),
        'depth_color.png': files.png(draw.depth_picture(prediction.depth_m, picture_hw)),
        'label.png': files.png(label),
        'overlay.png': files.png(draw.label_picture(shown, label)),
    }
    if prediction.camera is not None:
        solid = without_flying(prediction, point_filter)
        result['cloud.ply'] = files.ply(cloud.points(solid, frame.rgb))
    return {stem.with_name(f'{stem.name}_{kind}'): data for kind, data in result.items()}


def _summarise(console: Console, tally: Tally, out: Path) -> None:
    table = Table(title='median of each frame', show_header=False, title_justify='left')
    for step in tally.ms[0] if tally.ms else ():
        table.add_row(step, f'{np.median([row[step] for row in tally.ms]):.1f} ms')
    if tally.ms:
        console.print(table)
    for name, reason in tally.skipped:
        console.print(f'[red]skipped[/] {escape(name)}: {escape(reason)}')
    skipped = f', {len(tally.skipped)} skipped' if tally.skipped else ''
    console.print(f'{len(tally.ms)} frames written to {escape(str(out))}{skipped}.')
