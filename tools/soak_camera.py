# SPDX-License-Identifier: Apache-2.0
"""The soak's camera driver: 640x480 at 30 Hz from a thread of its own, as unreliable as asked for.

Every image carries its number as frame_id, so that whatever comes back can be told apart even
where the clock jumps. One image in 50 is damaged, in one of 12 ways; calibration changes now and
then for some frames.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from lightdepth_ros.camera import Camera
from lightdepth_ros.stream import messages

RATE_HZ = 30.0
HEIGHT, WIDTH = 480, 640
CAMERA = Camera(WIDTH, HEIGHT, 600.0, 600.0, 319.5, 239.5)
DAMAGED_SHARE = 1 / 50
FLIP_SHARE = 1 / 100
LONGEST_FLIP = 15
"""Frames."""
START_NS = 1_000_000_000_000


def good_image(seed: int) -> Image:
    """Return a 640x480 rgb8 image of blurred noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (HEIGHT // 32, WIDTH // 32, 3), np.uint8)
    fine = rng.integers(-8, 9, (HEIGHT, WIDTH, 3))
    rgb = np.clip(coarse.repeat(32, 0).repeat(32, 1) + fine, 0, 255).astype(np.uint8)
    return messages.rgb_to_image(rgb, Header())


def _resized(data_bytes: int) -> Callable[[Image], None]:
    def change(image: Image) -> None:
        kept = bytes(image.data)[:data_bytes]
        del image.data[:]
        image.data.frombytes(kept + bytes(data_bytes - len(kept)))

    return change


def _set(**fields: Any) -> Callable[[Image], None]:
    def change(image: Image) -> None:
        for name, value in fields.items():
            setattr(image, name, value)

    return change


DAMAGES: dict[str, Callable[[Image], None]] = {
    'step too small': _set(step=17),
    'step of four gigabytes': _set(step=2**32 - 1),
    'no rows': _set(height=0),
    'no columns': _set(width=0),
    'wider than a row': _set(width=65535),
    '65535 x 65535': _set(width=65535, height=65535, step=3 * 65535),
    'four gigapixels squared': _set(width=2**32 - 1, height=2**32 - 1),
    'unknown encoding': _set(encoding='ultraviolet8'),
    'no encoding': _set(encoding=''),
    'another encoding than the data': _set(encoding='bgra8'),
    'truncated data': _resized(100_000),
    'a byte too many': _resized(WIDTH * HEIGHT * 3 + 1),
}
"""Twelve ways to damage an image; none of them may ever be published."""


def damaged_image(kind: str) -> Image:
    """Return an image that is damaged in one of the ways of DAMAGES."""
    image = good_image(seed=1)
    DAMAGES[kind](image)
    return image


def calibrations() -> dict[str, CameraInfo]:
    """Return the calibrations that the camera flips between, '' is the right one."""
    made = {}
    for kind in ('', 'K is zero', 'another size', 'unknown model', 'K is NaN', 'a lens', 'a zoom'):
        camera = CAMERA.resized(320, 240) if kind == 'another size' else CAMERA
        info = messages.camera_to_info(camera, camera.size_hw, Header())
        if kind == 'K is zero':
            info.k = [0.0] * 9
        elif kind == 'unknown model':
            info.d, info.distortion_model = [0.1, 0.2], 'mystery'
        elif kind == 'K is NaN':
            info.k = [float('nan')] * 9
        elif kind == 'a lens':
            info.d = [-0.1, 0.01, 0.0, 0.0, 0.0]
        elif kind == 'a zoom':
            info.k = [900.0, 0.0, 319.5, 0.0, 900.0, 239.5, 0.0, 0.0, 1.0]
        made[kind] = info
    return made


class CameraDriver(threading.Thread):
    """Sends until `close`; `faults` switches damage and calibration flips on."""

    def __init__(self, seed: int) -> None:
        super().__init__(name='camera', daemon=True)
        self.faults = False
        self.paused = True
        self.sent: list[int] = []
        """Stamp, in nanoseconds, of each image; the index is its number."""
        self.damaged: set[int] = set()
        """Numbers of damaged images."""
        self.counts: Counter[str] = Counter()
        """Damages and calibration flips by kind."""
        self.latest_s = 0.0
        """The largest delay of an image behind its time: how well this machine keeps 30 Hz."""
        self._random = random.Random(seed)
        self._offset_ns = START_NS - time.monotonic_ns()
        self._good = [good_image(seed) for seed in range(3)]
        self._bad = {kind: damaged_image(kind) for kind in DAMAGES}
        self._infos = calibrations()
        self._flip, self._flip_left = '', 0
        self._closed = threading.Event()
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('camera', context=self._context)
        self._clock = self._node.create_publisher(Clock, '/clock', QoSProfile(depth=1))
        self._image = self._node.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._info = self._node.create_publisher(
            CameraInfo, 'camera_info', qos_profile_sensor_data
        )

    @property
    def subscribed(self) -> bool:
        """Whether somebody has subscribed to image and camera_info."""
        both = (self._image, self._info)
        return all(publisher.get_subscription_count() > 0 for publisher in both)

    def jump(self, seconds: float) -> None:
        """Let the clock, and so all later stamps, jump."""
        self._offset_ns += round(seconds * 1e9)

    def run(self) -> None:
        """Send, a thirtieth of a second after the other."""
        due_s = time.monotonic()
        while not self._closed.wait(max(0.0, due_s - time.monotonic())):
            late_s = time.monotonic() - due_s
            self.latest_s = max(self.latest_s, late_s)
            due_s = due_s + 1 / RATE_HZ if late_s < 0.5 else time.monotonic()
            self._tick()

    def close(self) -> None:
        """Stop sending and leave the graph."""
        self._closed.set()
        self.join()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _tick(self) -> None:
        now_ns = time.monotonic_ns() + self._offset_ns
        header = Header()
        header.stamp.sec, header.stamp.nanosec = divmod(now_ns, 10**9)
        self._clock.publish(Clock(clock=header.stamp))
        if self.paused:
            return
        number = len(self.sent)
        header.frame_id = str(number)
        image, info = self._choose(number)
        info.header = image.header = header
        self.sent.append(now_ns)
        self._info.publish(info)
        self._image.publish(image)

    def _choose(self, number: int) -> tuple[Image, CameraInfo]:
        image = self._good[number % len(self._good)]
        if not self.faults:
            return image, self._infos['']
        if self._random.random() < DAMAGED_SHARE:
            kind = self._random.choice(list(DAMAGES))
            image = self._bad[kind]
            self.damaged.add(number)
            self.counts[f'image: {kind}'] += 1
        if self._flip_left == 0 and self._random.random() < FLIP_SHARE:
            self._flip = self._random.choice([kind for kind in self._infos if kind])
            self._flip_left = self._random.randint(1, LONGEST_FLIP)
            self.counts[f'calibration: {self._flip}'] += 1
        if self._flip_left == 0:
            return image, self._infos['']
        self._flip_left -= 1
        return image, self._infos[self._flip]
