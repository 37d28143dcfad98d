# SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/CameraInfo's numbers -> the Camera or Lens of the image they belong to.

`info` is anything with the message's fields (rclpy's or rosbags'), so this file needs no ROS.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.errors import BadCameraError
from lightdepth_ros.perception.lens import ALIASES, COEFFICIENT_COUNTS, Lens

KINDS = ('raw', 'rectified')
TRANSPORTS = ('compressed', 'compressedDepth', 'theora', 'ffmpeg', 'zstd', 'avif')
"""Last parts of topics that plugins of image_transport add to that of the raw image."""
RECTIFIED = re.compile(r'(?<![a-zA-Z])rect(?:ified)?(?![a-z])|[a-z]Rect(?![a-z])')
"""`rect` as a word of its own: not in `corrected`, `direct` or `rectory`."""


def base_topic(topic: str) -> str:
    """Return the topic of the raw images, where image_transport's plugins add the last part."""
    base, _, transport = topic.rpartition('/')
    return base if transport in TRANSPORTS else topic


def info_beside(image_topic: str) -> str:
    """Return the camera_info topic in the namespace of an image topic (REP 118)."""
    return base_topic(image_topic).rpartition('/')[0] + '/camera_info'


def kind_of_topic(topic: str, image_kind: str) -> str:
    """Return 'raw' or 'rectified' for an image topic; image_kind as in NodeConfig.

    image_pipeline's nodes publish rectified images as `image_rect` and `image_rect_color`, some
    drivers as `rect/image`. A transport behind it, as in `image_rect/compressed`, does not count.
    """
    if image_kind != 'auto':
        return image_kind
    *above, last = base_topic(topic).split('/')
    named = RECTIFIED.search(last) or any(RECTIFIED.fullmatch(part) for part in above[-1:])
    return 'rectified' if named else 'raw'


def view_of(info: Any, kind: str) -> Camera | Lens | None:
    """Return the calibration of the image that `info` comes with; None = not calibrated (K = 0).

    raw: K and the distortion D; without distortion a plain Camera. rectified: P, its fourth
    column too, which says where the second camera of a stereo pair is. Region of interest and
    binning are applied, so sizes and pixels are those of the published image.
    Raises BadCameraError for a calibration that cannot be used.
    """
    if info.k[0] == 0.0:
        return None
    if kind == 'rectified' and info.p[0] == 0.0:
        raise BadCameraError(
            'camera_info has K but no P, and P is what holds for a rectified image. Publish P, or '
            'set image_kind to raw if the image is not rectified.'
        )
    numbers = info.p if kind == 'rectified' else info.k
    stride = 4 if kind == 'rectified' else 3
    full = Camera(
        int(info.width),
        int(info.height),
        float(numbers[0]),
        float(numbers[stride + 1]),
        float(numbers[2]),
        float(numbers[stride + 2]),
    )
    if kind == 'rectified':
        full = _beside(full, info.p)
    camera = _windowed(full, info)
    coefficients = tuple(float(c) for c in info.d)
    if kind == 'rectified' or not any(coefficients):
        return camera
    model = str(info.distortion_model).lower()
    model = ALIASES.get(model, model)
    return Lens(camera, model, _trimmed(model, coefficients))


def _beside(camera: Camera, p: Any) -> Camera:
    """Place the optical centre as P's fourth column [Tx Ty Tz] says.

    sensor_msgs/CameraInfo: P maps points of frame_id to pixels, so u = fx (X + Tx / fx) / Z + cx:
    the centre is at X = -Tx / fx. Both cameras of a stereo pair have the frame of the first.
    """
    if p[11] != 0.0:
        raise BadCameraError(
            f'P of camera_info has {p[11]} in its last place; the cameras of a stereo pair lie in '
            'one image plane, so it must be 0. Calibrate the pair again.'
        )
    tx, ty = float(p[3]), float(p[7])
    return replace(camera, origin_x_m=0.0 - tx / camera.fx, origin_y_m=0.0 - ty / camera.fy)


def _trimmed(model: str, coefficients: tuple[float, ...]) -> tuple[float, ...]:
    """Cut trailing zeros that drivers add: they are OpenCV's longer models, switched off."""
    longest = max(COEFFICIENT_COUNTS.get(model, (len(coefficients),)))
    return coefficients if any(coefficients[longest:]) else coefficients[:longest]


def _windowed(full: Camera, info: Any) -> Camera:
    """Apply region of interest, then binning, as sensor_msgs/CameraInfo orders them."""
    roi = info.roi
    camera = full
    if roi.width or roi.height or roi.x_offset or roi.y_offset:
        width = int(roi.width) or full.width - int(roi.x_offset)
        height = int(roi.height) or full.height - int(roi.y_offset)
        inside = 0 < width <= full.width - roi.x_offset
        if not (inside and 0 < height <= full.height - roi.y_offset):
            raise BadCameraError(
                f'region of interest {roi.width}x{roi.height} at ({roi.x_offset}, {roi.y_offset}) '
                f'leaves the {full.width}x{full.height} image; correct camera_info'
            )
        camera = full.cropped(int(roi.x_offset), int(roi.y_offset), width, height)
    bin_x, bin_y = max(1, int(info.binning_x)), max(1, int(info.binning_y))
    if bin_x == 1 and bin_y == 1:
        return camera
    if bin_x > camera.width or bin_y > camera.height:
        raise BadCameraError(
            f'binning {bin_x}x{bin_y} leaves nothing of {camera.width}x{camera.height} pixels; '
            'correct camera_info'
        )
    whole = camera.cropped(0, 0, camera.width // bin_x * bin_x, camera.height // bin_y * bin_y)
    return whole.resized(whole.width // bin_x, whole.height // bin_y)


def describe(view: Camera | Lens | None) -> str:
    """Return the calibration in words, for logs and diagnostics."""
    if view is None:
        return 'none'
    camera = view.camera if isinstance(view, Lens) else view
    model = view.model if isinstance(view, Lens) else 'no distortion'
    text = f'{camera.width}x{camera.height}, focal length {camera.focal_px:.1f} px, {model}'
    if camera.origin_x_m or camera.origin_y_m:
        beside = f'({camera.origin_x_m:.3f}, {camera.origin_y_m:.3f}, 0)'
        text += f', optical centre at {beside} m of its frame'
    return text


class NoCameraInfoYetError(BadCameraError):
    """There is no camera_info yet, and it is too early to continue without."""


class Calibration:
    """The newest camera_info of a camera, and the Camera or Lens that it means."""

    def __init__(self, image_topic: str, info_topic: str) -> None:
        self._image_topic = image_topic
        self._info_topic = info_topic
        self._info: Any = None
        self._key: Any = None
        self._view: Camera | Lens | None = None
        self._waiting_since_s = time.perf_counter()

    @property
    def text(self) -> str:
        """The calibration in words."""
        return 'no camera_info' if self._info is None else describe(self._view)

    def wait_again(self) -> None:
        """Start to wait for a first camera_info again."""
        self._waiting_since_s = time.perf_counter()

    def update(self, info: Any) -> None:
        """Take a new camera_info; it is looked at when the next image needs it."""
        self._info = info

    def view(self, config: NodeConfig, size_hw: tuple[int, int]) -> Camera | Lens | None:
        """Return the calibration for an image of `size_hw`; None = there is none.

        Raises BadCameraError for an unusable camera_info, NoCameraInfoYetError while one is
        awaited.
        """
        info = self._info
        if info is None:
            waited_s = time.perf_counter() - self._waiting_since_s
            if waited_s < config.camera_info_timeout_s:
                raise NoCameraInfoYetError(f'no camera_info on {self._info_topic} yet')
        else:
            self._read(info, kind_of_topic(self._image_topic, config.image_kind))
        if self._view is None and config.horizontal_fov_deg > 0:
            return Camera.from_fov(size_hw[1], size_hw[0], config.horizontal_fov_deg)
        return self._view

    def _read(self, info: Any, kind: str) -> None:
        roi = info.roi
        numbers = (*info.k, *info.p, *info.d, info.distortion_model, info.width, info.height)
        window = (
            info.binning_x,
            info.binning_y,
            roi.x_offset,
            roi.y_offset,
            roi.width,
            roi.height,
        )
        key = (kind, numbers, window)
        if key != self._key:
            self._key = None  # a bad one must be refused again with the next image
            self._view = view_of(info, kind)
            self._key = key
