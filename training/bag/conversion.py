# SPDX-License-Identifier: Apache-2.0
"""From a recording to a manifest data set on disk: resumable, every file whole or absent."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from lightdepth_ros.bag.matching import NearestStamps, Pair
from lightdepth_ros.bag.recording import Recording
from lightdepth_ros.errors import BadImageError, DataError
from lightdepth_ros.files import depth_png, png, write_files
from lightdepth_ros.picture import SampleBits
from lightdepth_ros.stream import measurements
from lightdepth_ros.stream.messages import image_to_rgb
from training.bag import geometry
from training.bag.geometry import View
from training.bag.mounting import Mounts
from training.datasets.manifest import COLUMNS

JPEG_QUALITY = 95
FARTHEST_M = 255.0
"""A 16-bit depth PNG of metres x 256 ends here; farther returns are dropped, not clipped."""

LidarPose = Callable[[str, str], np.ndarray]
"""(camera frame, lidar frame) -> T_camera_lidar, (4, 4)."""


@dataclass(frozen=True)
class Options:
    """What is converted, and how; kept beside the result, so that only the same run resumes it."""

    bag: str
    image_topic: str
    camera_info_topic: str
    points_topic: str
    depth_topic: str
    image_kind: str
    tolerance_s: float
    every: int
    image_format: str
    lidar_to_camera: tuple[float, ...]
    mount: tuple[float, ...] = ()
    ground_frame: str = ''

    @property
    def measurement_topic(self) -> str:
        """The topic depth comes from; empty = images only."""
        return self.points_topic or self.depth_topic


@dataclass
class Tally:
    """What became of the images."""

    rows: list[dict[str, str | int | float]] = field(default_factory=list)
    written: int = 0
    kept: int = 0
    unpaired: int = 0
    undecodable: int = 0
    cut_short: str = ''
    damaged: list[str] = field(default_factory=list)
    offsets_ms: list[float] = field(default_factory=list)
    coverage: list[float] = field(default_factory=list)


class Converter:
    """Turns pairs into files; remembers what became of them."""

    def __init__(
        self, options: Options, out: Path, view: View, pose: LidarPose, mounts: Mounts
    ) -> None:
        self.mounts = mounts
        self.options = options
        self.out = out
        self.view = view
        self.pose = pose
        self.tally = Tally()
        self._bits = SampleBits()
        self.names: set[str] = set()

    def take(self, pair: Pair) -> None:
        """Convert one image; count it if it cannot be used."""
        if self.options.measurement_topic and pair.measurement is None:
            self.tally.unpaired += 1
            return
        name = f'{pair.image.stamp_ns:019d}'
        try:
            self.write(pair, name)
        except BadImageError as error:
            self.tally.damaged.append(f'{name}: {error}')

    def write(self, pair: Pair, name: str) -> None:
        """Write the files of one image unless an earlier run has; add its manifest row."""
        if name in self.names:
            raise BadImageError('a second image has the same stamp; it is left out')
        image = self.out / 'image' / f'{name}.{self.options.image_format}'
        depth = self.out / 'depth' / f'{name}.png' if pair.measurement else None
        if image.is_file() and (depth is None or depth.is_file()):
            self.tally.kept += 1
        else:
            rgb = geometry.pinhole_rgb(image_to_rgb(pair.image.message, self._bits), self.view)
            contents = {image: encoded(rgb, self.options.image_format)}
            if depth is not None:
                contents[depth] = depth_png(self.depth_of(pair, rgb.shape[:2]))
            write_files(contents)
            self.tally.written += 1
        if pair.measurement:
            offset = pair.measurement.stamp_ns - pair.image.stamp_ns
            self.tally.offsets_ms.append(offset / 1e6)
        self.names.add(name)
        cells = self.mounts.cells(pair.image.message, pair.image.stamp_ns)
        self.tally.rows.append(self.row(name, image, depth) | cells)

    def depth_of(self, pair: Pair, hw: tuple[int, int]) -> np.ndarray:
        """Return (H, W) float32 metres, 0 = no value, of the pair's cloud or depth image."""
        assert pair.measurement is not None
        message, topic = pair.measurement.message, pair.measurement.topic
        frames = (pair.image.message.header.frame_id, message.header.frame_id)
        if self.options.points_topic:
            xyz = measurements.cloud_xyz(message, topic)
            depth = geometry.lidar_depth(xyz, self.pose(*frames), self.view, hw)
        else:
            check_registered(topic, *frames)
            depth = measurements.depth_image_m(message, topic)
            depth = geometry.pinhole_depth(depth, self.view, hw)
        depth = np.where(depth <= FARTHEST_M, depth, np.float32(0))
        self.tally.coverage.append(float((depth > 0).mean()))
        return depth

    def row(self, name: str, image: Path, depth: Path | None) -> dict[str, str | int | float]:
        """Return the manifest row of one image."""
        row: dict[str, str | int | float] = {'id': name}
        row['image'] = image.relative_to(self.out).as_posix()
        row['depth'] = depth.relative_to(self.out).as_posix() if depth else ''
        c = self.view.camera
        if c is not None:
            row |= {'w': c.width, 'h': c.height, 'fx': c.fx, 'fy': c.fy, 'cx': c.cx, 'cy': c.cy}
        return row


def encoded(rgb: np.ndarray, image_format: str) -> bytes:
    """Return (H, W, 3) uint8 RGB as JPEG or PNG bytes."""
    if image_format == 'png':
        return png(rgb)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, rgb.shape
    return data.tobytes()


def check_registered(topic: str, image_frame: str, depth_frame: str) -> None:
    """Refuse a depth image that another camera saw."""
    if image_frame.lstrip('/') != depth_frame.lstrip('/'):
        raise DataError(
            f'depth on {topic} is seen from frame {depth_frame!r}, the images from '
            f'{image_frame!r}: record depth registered (aligned) to the camera'
        )


def pairs(
    recording: Recording, options: Options, mounts: Mounts, step: Callable[[], None]
) -> Iterator[Pair]:
    """Yield each `every`-th image with its nearest measurement; `step` is called per message.

    mounts: hears what was recorded before each pair.
    """
    matcher = NearestStamps(round(options.tolerance_s * 1e9))
    topics = [t for t in (options.image_topic, options.measurement_topic) if t]
    seen = 0
    for recorded in recording.messages([*topics, *mounts.topics]):
        if recorded.topic in mounts.topics:
            mounts.take(recorded.message)
            continue
        step()
        if recorded.topic != options.image_topic:
            yield from matcher.add_measurement(recorded)
            continue
        seen += 1
        if (seen - 1) % options.every:
            continue
        if options.measurement_topic:
            yield from matcher.add_image(recorded)
        else:
            yield Pair(recorded, None)
    yield from matcher.rest()


def claim_folder(out: Path, options: Options) -> None:
    """Take `out` for this conversion; refuse a folder that holds another one."""
    record = out / 'from_bag.json'
    text = json.dumps(dataclasses.asdict(options), indent=2) + '\n'
    if record.is_file() and record.read_text() != text:
        raise DataError(
            f'{out} holds another conversion ({record} tells its options): choose another --out, '
            'or delete that folder'
        )
    if not record.is_file() and out.is_dir() and any(out.iterdir()):
        raise DataError(f'{out} is not empty and holds no conversion: choose another --out')
    write_files({record: text.encode()})
    for leftover in [*out.glob('image/.*.tmp'), *out.glob('depth/.*.tmp')]:
        leftover.unlink(missing_ok=True)  # of a run that was killed


def write_manifest(out: Path, tally: Tally, val_fraction: float) -> Path:
    """Write manifest.csv; the last `val_fraction` of the drive is split "val"."""
    first_val = len(tally.rows) - round(len(tally.rows) * val_fraction)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval='', lineterminator='\n')
    writer.writeheader()
    for number, row in enumerate(tally.rows):
        writer.writerow(row | {'split': 'val' if number >= first_val else 'train'})
    path = out / 'manifest.csv'
    write_files({path: stream.getvalue().encode()})
    return path
