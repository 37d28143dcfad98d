# SPDX-License-Identifier: Apache-2.0
"""Sky, air and the camera's own faults."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from lightdepth_ros.camera import Camera
from training.datasets.synthetic import textures
from training.datasets.synthetic.light import Light, Sensor
from training.datasets.synthetic.raster import Pose


@lru_cache(maxsize=1)
def cloud_field() -> np.ndarray:
    """Return (256, 256) float32 periodic noise for clouds."""
    return textures.noise(np.random.default_rng(7), 1.5)


@lru_cache(maxsize=1)
def grain_field() -> np.ndarray:
    """Return (512, 1024, 3) int8 sensor noise, deviation 32 (sixteenths of a deviation of 2)."""
    noise = np.random.default_rng(8).normal(0, 32, (512, 1024, 3))
    return np.clip(noise, -127, 127).astype(np.int8)


@lru_cache(maxsize=1)
def jitter_field() -> np.ndarray:
    """Return (1024, 2048) float32 uniform in -0.5..0.5."""
    return np.random.default_rng(9).uniform(-0.5, 0.5, (1024, 2048)).astype(np.float32)


def patch(field: np.ndarray, hw: tuple[int, int], shift: tuple[int, int]) -> np.ndarray:
    """Return a window of a field at `shift`, repeating the field where it is too small."""
    rows, cols = (field.shape[0] - hw[0], field.shape[1] - hw[1])
    if rows > 0 and cols > 0:
        y, x = shift[0] % rows, shift[1] % cols
        return field[y : y + hw[0], x : x + hw[1]]
    return field.take(np.arange(hw[0]) + shift[0], 0, mode='wrap').take(
        np.arange(hw[1]) + shift[1], 1, mode='wrap'
    )


def paint_sky(
    colour: np.ndarray, sky: np.ndarray, camera: Camera, view: Pose, light: Light
) -> None:
    """Fill the `sky` pixels of (3, H, W) colours; made at half size, it has no sharp edges."""
    rows = np.flatnonzero(sky.any(1))
    if not len(rows):
        return
    last = min(int(rows[-1]) + 2, camera.height)
    small = camera.resized((camera.width + 1) // 2, (camera.height + 1) // 2)
    planes = sky_planes(small.rays()[: last // 2 + 1], view, light)
    mask = sky[:last].view(np.uint8)
    for k, plane in enumerate(planes):
        full = cv2.resize(plane, (camera.width, 2 * len(plane)), interpolation=cv2.INTER_LINEAR)
        cv2.copyTo(full[:last], mask, colour[k, :last])


def sky_planes(rays: np.ndarray, view: Pose, light: Light) -> list[np.ndarray]:
    """Return R, G, B (h, w) float32 along (h, w, 2) rays: gradient, clouds, sun glow."""
    length = np.sqrt(rays[..., 0] ** 2 + rays[..., 1] ** 2 + 1)
    x, y, z = (
        (rays[..., 0] * r[0] + rays[..., 1] * r[1] + r[2]) / length
        for r in view.rotation.T.astype(np.float32)
    )
    up = np.clip(y, 0.0, 1)
    height = np.sqrt(up)
    reach = np.float32(90) / (up + np.float32(0.12))
    sun = light.sun_dir.astype(np.float32)
    east = np.mod(x * reach + 37 * sun[0], np.float32(255))
    ahead = np.mod(z * reach + 91 * sun[2], np.float32(255))
    thick = cv2.remap(cloud_field(), east, ahead, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    cover = np.clip(thick * 0.45 + (light.cloud * 1.8 - 0.9), 0, 1) * np.clip(up * 8, 0, 1)
    tone = 1.02 - 0.14 * np.clip(thick, 0, 2)
    toward = np.clip(x * sun[0] + y * sun[1] + z * sun[2], 0, 1)
    glow = (0.5 * (1 - light.cloud * 0.8)) * toward**8 * toward**16
    white = 0.35 * light.zenith + 0.65 * np.sqrt(light.ambient + light.sun)
    planes = []
    for k in range(3):
        clear = light.haze[k] + height * (light.zenith[k] - light.haze[k])
        plane = clear + cover * (white[k] * tone - clear) + glow * light.sun[k]
        planes.append(plane.astype(np.float32))
    return planes


def add_air(colour: np.ndarray, inverse_z: np.ndarray, light: Light) -> None:
    """Fade (3, H, W) colours to the haze with distance."""
    z = np.float32(-1 / light.visibility_m) / np.maximum(inverse_z, 1e-4)
    keep = cv2.exp(z)
    for plane, haze in zip(colour, light.haze.astype(np.float32), strict=True):
        plane -= haze
        plane *= keep
        plane += haze


@lru_cache(maxsize=16)
def vignette(hw: tuple[int, int]) -> np.ndarray:
    """Return (H, W) float32, 0 in the middle and 1 in the corners."""
    y = np.linspace(-1, 1, hw[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, hw[1], dtype=np.float32)
    return (x**2 + y**2) / 2


def exposed(colour: np.ndarray, sensor: Sensor) -> np.ndarray:
    """Return (H, W, 3) uint8 of (3, H, W): exposure, white balance, vignetting, contrast."""
    # A camera's own exposure control brings most scenes near the same mean, the dark ones less.
    mean = float(colour[:, ::8, ::8].mean())
    exposure = sensor.gain * np.clip((0.42 / mean) ** 0.8, 0.7, 2.0)
    shade = (0.8 * 255) * (1 - np.float32(sensor.vignette) * vignette(colour.shape[1:]))
    planes = [
        cv2.multiply(plane, shade, scale=float(exposure * balance), dtype=cv2.CV_8U)
        for plane, balance in zip(colour, sensor.balance, strict=True)
    ]
    return cv2.LUT(cv2.merge(planes), tone(sensor.contrast))


@lru_cache(maxsize=64)
def tone(contrast: float) -> np.ndarray:
    """Return the (256,) uint8 curve: contrast about mid grey, soft shoulder to white."""
    x = np.arange(256) / 255 / 0.8
    x = 0.45 * (x / 0.45) ** contrast
    shoulder = np.where(x > 0.7, 0.7 + 0.3 * (1 - np.exp(-(x - 0.7) / 0.3)), x)
    return np.clip(shoulder * 255, 0, 255).astype(np.uint8)


def with_noise(rgb: np.ndarray, sensor: Sensor, shift: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 3) uint8 blurred by the lens and with sensor noise."""
    rgb = cv2.GaussianBlur(rgb, (3, 3), sensor.blur_px)
    noise = np.ascontiguousarray(patch(grain_field(), rgb.shape[:2], shift))
    return cv2.addWeighted(rgb, 1.0, noise, sensor.noise / 32, 0, dtype=cv2.CV_8U)
