# SPDX-License-Identifier: Apache-2.0
"""A camera in a process of its own, as `bench_delivery` needs it: one picture again and again.

It is an rclpy node. A C++ driver publishes with less work, but goes through the same DDS.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import cv2
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from lightdepth_ros.camera import Camera
from lightdepth_ros.stream import messages

ENCODINGS = ('rgb8', 'yuyv', 'jpeg')
JPEG_QUALITY = 95
"""The default of compressed_image_transport."""
FOCAL_OF_WIDTH = 0.9
QUEUE = 5


def picture(width: int, height: int) -> np.ndarray:
    """Return (height, width, 3) uint8: blocks with a little noise, which JPEG takes as a photo."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (-(-height // 32), -(-width // 32), 3))
    blocks = coarse.repeat(32, 0).repeat(32, 1)[:height, :width]
    noise = rng.integers(-8, 9, (height, width, 3))
    return np.clip(blocks + noise, 0, 255).astype(np.uint8)


def image_message(encoding: str, width: int, height: int) -> Image | CompressedImage:
    """Return a message in one of ENCODINGS."""
    rgb = picture(width, height)
    if encoding == 'rgb8':
        return messages.rgb_to_image(rgb, Header())
    if encoding == 'jpeg':
        quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        coded = cv2.imencode('.jpg', rgb[..., ::-1], quality)[1]
        made = CompressedImage(format='rgb8; jpeg compressed bgr8')
        made.data.frombytes(coded.tobytes())
        return made
    made = Image(encoding='yuv422_yuy2', width=width, height=height, step=2 * width)
    made.data.frombytes(rgb[..., :2].tobytes())
    return made


class Sender:
    """The camera's node and its two publishers."""

    def __init__(self, image: Any, size_hw: tuple[int, int], reliability: str) -> None:
        self._image = image
        self._sent = 0
        height, width = size_hw
        focal = FOCAL_OF_WIDTH * width
        camera = Camera(width, height, focal, focal, width / 2 - 0.5, height / 2 - 0.5)
        self._info = messages.camera_to_info(camera, size_hw, Header())
        qos = QoSProfile(depth=QUEUE, reliability=ReliabilityPolicy[reliability.upper()])
        self._node = rclpy.create_node('camera')
        suffix = '/compressed' if isinstance(image, CompressedImage) else ''
        self._images = self._node.create_publisher(type(image), f'image{suffix}', qos)
        self._infos = self._node.create_publisher(CameraInfo, 'camera_info', qos)

    def send(self) -> None:
        """Publish the picture once, stamped now."""
        stamp = self._node.get_clock().now().to_msg()
        self._image.header.stamp = self._info.header.stamp = stamp
        self._image.header.frame_id = self._info.header.frame_id = str(self._sent)
        self._sent += 1  # as soak_node wants it
        self._infos.publish(self._info)
        self._images.publish(self._image)


def main() -> int:
    """Send until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--width', type=int, default=640)
    parser.add_argument('--height', type=int, default=480)
    parser.add_argument('--encoding', choices=ENCODINGS, default='rgb8')
    parser.add_argument('--reliability', choices=('reliable', 'best_effort'), default='reliable')
    parser.add_argument('--rate-hz', type=float, default=30.0)
    args = parser.parse_args()
    image = image_message(args.encoding, args.width, args.height)
    rclpy.init()
    sender = Sender(image, (args.height, args.width), args.reliability)
    due_s = time.monotonic()
    try:
        while rclpy.ok():
            time.sleep(max(0.0, due_s - time.monotonic()))
            late_s = time.monotonic() - due_s
            due_s = due_s + 1 / args.rate_hz if late_s < 0.5 else time.monotonic()
            sender.send()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
