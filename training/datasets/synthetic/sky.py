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
    """Fill the `sky` pixels of (H, W, 3) colours: gradient, clouds, glow around the sun."""
    rows = np.flatnonzero(sky.any(1))
    if not len(rows):
        return
    span = slice(rows[0], rows[-1] + 1)
    rays = camera.rays()[span]
    length = np.sqrt(rays[..., 0] ** 2 + rays[..., 1] ** 2 + 1)
    x, y, z = (
        (rays[..., 0] * r[0] + rays[..., 1] * r[1] + r[2]) / length
        for r in view.rotation.T.astype(np.float32)
    )
    up = np.clip(y, 0.0, 1)
    height = np.sqrt(up)[..., None]
    haze, zenith = light.haze.astype(np.float32), light.zenith.astype(np.float32)
    part = haze + height * (zenith - haze)
    reach = 90 / (up + 0.12)
    field = cloud_field()
    east = np.mod(x * reach + 37 * light.sun_dir[0], 255).astype(np.float32)
    ahead = np.mod(z * reach + 91 * light.sun_dir[2], 255).astype(np.float32)
    thick = cv2.remap(field, east, ahead, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    cover = np.clip(thick * 0.45 + light.cloud * 1.8 - 0.9, 0, 1) * np.clip(up * 8, 0, 1)
    white = 0.35 * zenith + 0.65 * np.sqrt(light.ambient + light.sun).astype(np.float32)
    shade = white * (1.02 - 0.14 * np.clip(thick, 0, 2))[..., None]
    part += cover[..., None] * (shade - part)
    toward = np.clip(x * light.sun_dir[0] + y * light.sun_dir[1] + z * light.sun_dir[2], 0, 1)
    part += (0.5 * (1 - light.cloud * 0.8) * toward**24)[..., None] * light.sun.astype(np.float32)
    np.copyto(colour[span], part, where=sky[span][..., None])


def add_air(colour: np.ndarray, inverse_z: np.ndarray, light: Light) -> None:
    """Fade (H, W, 3) colours to the haze with distance."""
    z = 1 / np.maximum(inverse_z, 1e-4)
    keep = cv2.exp(z * np.float32(-1 / light.visibility_m))[..., None]
    haze = light.haze.astype(np.float32)
    colour -= haze
    colour *= keep
    colour += haze


@lru_cache(maxsize=16)
def vignette(hw: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 1) float32, 0 in the middle and 1 in the corners."""
    y = np.linspace(-1, 1, hw[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, hw[1], dtype=np.float32)
    return ((x**2 + y**2) / 2)[..., None]


def exposed(colour: np.ndarray, sensor: Sensor) -> np.ndarray:
    """Return (H, W, 3) uint8 of display colours: gain, white balance, vignetting, contrast."""
    gain = (sensor.gain * sensor.balance * 255).astype(np.float32)
    colour *= gain * (1 - sensor.vignette * vignette(colour.shape[:2]))
    level = cv2.convertScaleAbs(np.maximum(colour, 0, out=colour), alpha=0.8)
    return cv2.LUT(level, tone(sensor.contrast))


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
