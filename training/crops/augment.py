# SPDX-License-Identifier: Apache-2.0
"""Random views and colours of a sample: pixels stay square, the focal length goes along."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.datasets.sample import Sample

SCALE_LIMITS = (0.35, 1.8)
"""Resampling beyond these factors invents or destroys too much detail to learn from."""

LEAST_FILL = 0.85
"""An image is never scaled so small that it fills less than this share of the crop's height; nor
of its width, if focal lengths allow."""


@dataclass(frozen=True)
class View:
    """A similarity transform of an image into a crop.

    matrix      (2, 3) float64: source pixel (u, v, 1) -> crop pixel.
    hw          crop size (height, width).
    focal_px    focal length of the crop in its pixels; 0 = the source is not calibrated.
    """

    matrix: np.ndarray
    hw: tuple[int, int]
    focal_px: float


def scale_range(
    sample: Sample, hw: tuple[int, int], focal_px: tuple[float, float]
) -> tuple[float, float]:
    """Return the smallest and largest resampling factor of an image for a crop of `hw` pixels."""
    high_enough, wide_enough = (c / s for c, s in zip(hw, sample.rgb.shape[:2], strict=True))
    if sample.camera is not None:
        low, high = (f / sample.camera.focal_px for f in focal_px)
    else:
        low = max(high_enough, wide_enough)
        high = 2 * low
    low = max(low, LEAST_FILL * high_enough)
    high = max(low, high)
    low = min(max(low, LEAST_FILL * wide_enough), high)
    low, high = np.clip([low, high], *SCALE_LIMITS)
    return float(low), float(high)


def fills(sample: Sample, hw: tuple[int, int], focal_px: tuple[float, float]) -> bool:
    """Tell whether an image may be enlarged enough to fill a crop of `hw` pixels."""
    largest = scale_range(sample, hw, focal_px)[1]
    height, width = sample.rgb.shape[:2]
    return largest * min(height / hw[0], width / hw[1]) >= LEAST_FILL - 1e-6


def draw_scale(
    rng: np.random.Generator, sample: Sample, hw: tuple[int, int], focal_px: tuple[float, float]
) -> float:
    """Draw the resampling factor: log-uniform in focal length, or in the share of the view."""
    low, high = scale_range(sample, hw, focal_px)
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_view(
    rng: np.random.Generator,
    sample: Sample,
    hw: tuple[int, int],
    focal_px: tuple[float, float],
    rotation_deg: float,
    vertical_jitter: float = 1.0,
    mirror: float = 0.5,
) -> View:
    """Draw a random scale, roll, mirror image and position for a crop of `hw` pixels.

    A crop larger than the scaled image is placed so that it holds all of it (the rest is empty).
    vertical_jitter: share of the vertical room that is used; at 0 the rows' middle stays in the
    middle, as when a robot crops its frame. Then depth of level ground depends on the row alone,
    at every scale, because depth is learnt for one canonical focal length.
    Roll about the optical axis leaves depth along Z as it is; so does mirroring, of which `mirror`
    is the share.
    """
    scale = draw_scale(rng, sample, hw, focal_px)
    angle = np.deg2rad(rng.uniform(-rotation_deg, rotation_deg))
    side = -1.0 if rng.random() < mirror else 1.0
    height, width = sample.rgb.shape[:2]
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos * side, -sin], [sin * side, cos]])
    slack = np.array([scale * width - hw[1], scale * height - hw[0]]) / 2
    shift = rng.uniform(-1, 1, 2) * np.abs(slack) * [1, vertical_jitter]
    centre = np.array([hw[1] / 2, hw[0] / 2]) + shift
    offset = centre - linear @ np.array([width / 2, height / 2])
    focal = sample.camera.focal_px * scale if sample.camera is not None else 0.0
    return View(np.column_stack([linear, offset]), hw, focal)


def warp(image: np.ndarray, view: View, source_hw: tuple[int, int], nearest: bool) -> np.ndarray:
    """Resample `image` into the view; outside the source the result is 0.

    image may be at another size than the view's source (teacher maps at half size): its own pixels
    are mapped through source_hw. nearest: for depth and ids, which must not be mixed.
    """
    sx, sy = source_hw[1] / image.shape[1], source_hw[0] / image.shape[0]
    to_source = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
    matrix = view.matrix @ to_source
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    return cv2.warpAffine(image, matrix, view.hw[::-1], flags=flags)


def photometric(rng: np.random.Generator, rgb: np.ndarray, strength: float) -> np.ndarray:
    """Change light, shadow, colour, sharpness, noise, compression of (H, W, 3) uint8; same shape.

    strength 0 = unchanged.
    """
    if strength <= 0:
        return rgb
    rgb = colour_curves(rng, rgb, strength)
    if rng.random() < 0.2 * strength:
        rgb = shaded(rng, rgb)
    if rng.random() < 0.15 * strength:
        sigma = rng.uniform(0.4, 1.5)
        rgb = cv2.GaussianBlur(rgb, (0, 0), sigma)
    if rng.random() < 0.25 * strength:
        rgb = add_noise(rng, rgb, rng.uniform(2, 12) * strength)
    if rng.random() < 0.2 * strength:
        quality = int(rng.integers(25, 90))
        rgb = cv2.imdecode(cv2.imencode('.jpg', rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
    return rgb


def shaded(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """Lay a hard shadow over a part of the picture: on one side of a line, or in a blob."""
    height, width = rgb.shape[:2]
    v, u = np.mgrid[:height:4, :width:4].astype(np.float32)
    middle = rng.uniform(0, 1, 2) * (width, height)
    turn = rng.uniform(0, 2 * np.pi)
    along = (u - middle[0]) * np.cos(turn) + (v - middle[1]) * np.sin(turn)
    across = (v - middle[1]) * np.cos(turn) - (u - middle[0]) * np.sin(turn)
    if rng.random() < 0.5:
        along = height * rng.uniform(0.1, 0.5) - np.hypot(along, across * rng.uniform(1, 4))
    dark = rng.uniform(0.15, 0.7)
    soft = rng.uniform(1, 12)
    gain = dark + (1 - dark) / (1 + np.exp(np.clip(along / soft, -30, 30)))
    full = cv2.resize(gain.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return (rgb * full[..., None]).astype(np.uint8)


def style_of(rgb: np.ndarray) -> np.ndarray:
    """Return the style of a picture: (2, 3) float32, mean and deviation of CIE Lab in bytes."""
    lab = cv2.cvtColor(rgb[::4, ::4], cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    return np.stack([lab.mean(0), lab.std(0)])


def restyle(rng: np.random.Generator, rgb: np.ndarray, style: np.ndarray) -> np.ndarray:
    """Give a picture the colours of another one, in part; same shape.

    Without it a network can tell cameras apart by their colours and learn depth for those alone
    that have truth. (Statistics of Lab channels: Reinhard et al., "Color Transfer between Images",
    IEEE CG&A 2001.)
    """
    own, share = style_of(rgb), rng.uniform(0.4, 1.0)
    mean, deviation = own + share * (style - own)
    gain = np.clip(deviation / np.maximum(own[1], 1), 0.4, 2.5)
    ramp = np.arange(256, dtype=np.float32)[:, None]
    table = np.clip((ramp - own[0]) * gain + mean, 0, 255).astype(np.uint8)
    lab = cv2.LUT(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), table[:, None, :])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def colour_curves(rng: np.random.Generator, rgb: np.ndarray, strength: float) -> np.ndarray:
    """Apply gamma, gain, offset and white balance as one table; sometimes lose colour."""
    ramp = np.arange(256, dtype=np.float32) / 255
    night = rng.random() < 0.06 * strength
    gamma = np.exp(rng.uniform(-0.35, 0.35) * strength) * (2.0 if night else 1.0)
    gain = np.exp(rng.uniform(-0.3, 0.3, 3) * 0.35 * strength + rng.uniform(-0.3, 0.3) * strength)
    offset = rng.uniform(-0.05, 0.05) * strength
    table = np.clip((ramp[:, None] ** gamma * gain + offset) * 255, 0, 255).astype(np.uint8)
    rgb = cv2.LUT(rgb, table[:, None, :])
    if rng.random() < 0.4 * strength:
        grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        keep = 0.0 if rng.random() < 0.15 else rng.uniform(0.3, 1.5)
        rgb = cv2.addWeighted(rgb, keep, grey, 1 - keep, 0)
    return rgb


def add_noise(rng: np.random.Generator, rgb: np.ndarray, sigma: float) -> np.ndarray:
    """Add Gaussian sensor noise of `sigma` grey levels."""
    noise = np.empty(rgb.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 31)))
    cv2.randn(noise, 0, sigma)
    return cv2.add(rgb, noise, dtype=cv2.CV_8U)
