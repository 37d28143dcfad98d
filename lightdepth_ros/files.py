# SPDX-License-Identifier: Apache-2.0
"""Read pictures and videos; write PNG and PLY files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np

from lightdepth_ros.errors import BadImageError, DataError
from lightdepth_ros.picture import SampleBits, check_size
from lightdepth_ros.point import finite_points, unpacked_rgb

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')
DEPTH_UNITS_PER_M = 256
"""A depth PNG holds round(metres * 256) as 16 bit; 0 = no value (the KITTI convention)."""
PLY_POINT = np.dtype(
    [
        *((axis, '<f4') for axis in 'xyz'),
        *((colour, 'u1') for colour in ('red', 'green', 'blue')),
        ('label', 'u1'),
        ('confidence', 'u1'),
    ]
)


class WriteError(DataError):
    """An output file cannot be written: later files would fail in the same way."""


def is_image(path: Path) -> bool:
    """Tell by the suffix whether a path is a still picture."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def images_in(folder: Path) -> list[Path]:
    """Return the pictures directly in `folder`, by name; DataError when there are none.

    Hidden ones are left out: macOS puts a `._photo.jpg`, which is no picture, beside photo.jpg.
    """
    found = sorted(
        path
        for path in folder.iterdir()
        if is_image(path) and path.is_file() and not path.name.startswith('.')
    )
    if not found:
        raise DataError(
            f'{folder} holds no picture ({", ".join(IMAGE_SUFFIXES)}); '
            'name the folder that holds them directly'
        )
    return found


def read_rgb(path: Path | str) -> np.ndarray:
    """Read a picture as (H, W, 3) uint8 RGB, turned upright as its EXIF says.

    Raises BadImageError for a file that is missing, no picture, cut short, or of a size that no
    camera has.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise BadImageError(f'cannot read {path}: {error.strerror or error}') from error
    rgb = decode_rgb(data, str(path))
    try:
        check_size(rgb.shape[0], rgb.shape[1])
    except BadImageError as error:
        raise BadImageError(f'{path}: {error}') from error
    return rgb


def decode_rgb(data: bytes, source: str) -> np.ndarray:
    """Decode JPEG, PNG or another picture format; `source` names it in errors (BadImageError)."""
    if data[:2] == b'\xff\xd8' and b'\xff\xd9' not in data[len(data) // 2 :]:
        raise BadImageError(f'{source} is a JPEG cut short ({len(data)} bytes): copy it again')
    try:
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        raise BadImageError(f'{source} cannot be decoded: {error}') from error
    if bgr is None:
        raise BadImageError(
            f'{source} is not a picture that OpenCV can read, or it is damaged ({len(data)} bytes)'
        )
    if bgr.dtype == np.uint16:
        bgr = SampleBits().to_bytes(bgr)
    if bgr.dtype != np.uint8:
        raise BadImageError(f'{source} has samples of type {bgr.dtype}; save it with 8 or 16 bits')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


class Video:
    """A video file, frame by frame. `frame_count` is what its header states (0 = unknown)."""

    def __init__(self, path: Path) -> None:
        """Open it; DataError when it is no video that OpenCV can read."""
        if not path.is_file():
            raise DataError(f'{path} does not exist; give a picture, a folder or a video')
        self._capture = cv2.VideoCapture(str(path))
        self.path = path
        if not self._capture.isOpened():
            raise DataError(
                f'{path} is neither a picture ({", ".join(IMAGE_SUFFIXES)}) nor a video that '
                'OpenCV can read; convert it, for example to MP4'
            )
        self.frame_count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def frames(self) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) uint8 RGB frames; DataError if it ends before `frame_count`."""
        count = 0
        try:
            while True:
                ok, bgr = self._capture.read()
                if not ok:
                    break
                count += 1
                yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        finally:
            self._capture.release()
        # Headers made from duration x rate round: one frame less is a whole video.
        if count == 0 or count < self.frame_count - 1:
            raise DataError(
                f'{self.path} ends after {count} of {self.frame_count} frames: '
                'it is cut short or damaged; the frames before that are fine'
            )


def png(image: np.ndarray) -> bytes:
    """Encode (H, W) uint8 or uint16, or (H, W, 3) uint8 RGB."""
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode('.png', image)
    if not ok:
        raise DataError(f'OpenCV cannot encode {image.dtype} of shape {image.shape} as PNG')
    return data.tobytes()


def depth_png(depth_m: np.ndarray) -> bytes:
    """Encode (h, w) float metres as 16-bit PNG, metres x 256.

    0 = no value: unknown, too near, and also sky and beyond range, which a 16-bit depth cannot
    tell apart. Depth above 255.99 m saturates.
    """
    finite = np.isfinite(depth_m)
    units = np.where(finite, depth_m, 0) * DEPTH_UNITS_PER_M
    return png(np.rint(units).clip(0, 65535).astype(np.uint16))


def read_depth_png(path: Path) -> np.ndarray:
    """Read a depth PNG as (h, w) float32 metres, NaN = no value."""
    try:
        units = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as error:
        raise BadImageError(f'cannot read the depth PNG {path}: {error}') from error
    if units is None or units.dtype != np.uint16 or units.ndim != 2:
        raise BadImageError(f'{path} is not a 16-bit grey PNG of metres x 256')
    return np.where(units == 0, np.nan, units / DEPTH_UNITS_PER_M).astype(np.float32)


def ply(cloud: np.ndarray) -> bytes:
    """Encode the finite points of a cloud (`point.POINT`) as binary PLY."""
    points = finite_points(cloud)
    vertices = np.empty(points.shape, PLY_POINT)
    for name in ('x', 'y', 'z', 'label', 'confidence'):
        vertices[name] = points[name]
    rgb = unpacked_rgb(points)
    for channel, name in enumerate(('red', 'green', 'blue')):
        vertices[name] = rgb[..., channel]
    lines = [
        'ply',
        'format binary_little_endian 1.0',
        'comment lightdepth_ros: metres, x right, y down, z forward; label = Cityscapes train id',
        f'element vertex {len(vertices)}',
        *(f'property {_ply_type(name)} {name}' for name in vertices.dtype.names or ()),
        'end_header',
    ]
    return '\n'.join(lines).encode('ascii') + b'\n' + vertices.tobytes()


def _ply_type(name: str) -> str:
    return 'float' if PLY_POINT[name].kind == 'f' else 'uchar'


def check_writable(folder: Path) -> None:
    """Make `folder` if needed and check that files can be written there; WriteError if not."""
    probe = folder / f'.lightdepth.{os.getpid()}.tmp'
    write_files({probe: b''})
    probe.unlink()


def write_files(contents: Mapping[Path, bytes], *, durable: bool = False) -> None:
    """Write all of the files or none: each to a temporary name first, then renamed.

    Creates missing folders; permissions are those of the umask. durable: the bytes are on the
    disk before the old file goes, so that a power cut leaves one of the two whole. Raises
    WriteError (no permission, disk full) and leaves nothing.
    """
    begun: dict[Path, Path] = {}
    try:
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
            begun[part] = path
            part.write_bytes(data)
            if durable:
                _to_disk(part)
        for part, path in begun.items():
            part.replace(path)
    except OSError as error:
        for part in begun:
            part.unlink(missing_ok=True)
        raise WriteError(
            f'cannot write {error.filename or next(iter(contents))}: {error.strerror}. '
            'Give another output folder or make room there.'
        ) from error


def _to_disk(path: Path) -> None:
    with path.open('rb') as file:
        os.fsync(file.fileno())
