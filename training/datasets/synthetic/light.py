# SPDX-License-Identifier: Apache-2.0
"""Light of a scene and faults of a camera: drawn at random, plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Light:
    """Light and air of one scene; colours are RGB, 1 = white paper in full sun.

    sun_dir       unit vector to the sun (world axes); sun, ambient: its light, the sky's light.
    zenith, haze  sky colour overhead and at the horizon; far things fade to `haze`.
    visibility_m  distance at which 1 - 1/e of a colour is haze.
    cloud         share of the sky under clouds, 0..1.
    lamp          brightness factor of things that glow (bright at night).
    """

    sun_dir: np.ndarray
    sun: np.ndarray
    ambient: np.ndarray
    zenith: np.ndarray
    haze: np.ndarray
    visibility_m: float
    cloud: float
    lamp: float

    @property
    def shadow(self) -> float:
        """Share of the display brightness that flat ground loses in the shadow of the sun."""
        shade, sun = float(self.ambient.mean()), float(self.sun.mean() * self.sun_dir[1])
        return 1 - (shade / (shade + sun)) ** 0.5


@dataclass(frozen=True)
class Sensor:
    """Faults of the camera: exposure, white balance (3,), vignetting, noise, blur, contrast."""

    gain: float
    balance: np.ndarray
    vignette: float
    noise: float
    blur_px: float
    contrast: float


def draw_light(rng: np.random.Generator) -> Light:
    """Draw noon, overcast, low sun, dusk or night (in the shares 40, 30, 15, 9, 6 %)."""
    kind = rng.choice(5, p=[0.4, 0.3, 0.15, 0.09, 0.06])
    azimuth = rng.uniform(0, 2 * np.pi)
    low, high = [(35, 75), (30, 70), (8, 25), (4, 10), (20, 50)][kind]
    elevation = np.deg2rad(rng.uniform(low, high))
    flat = np.cos(elevation)
    direction = np.array([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)])
    blue = np.array([0.25, 0.48, 0.85]) * rng.uniform(0.85, 1.2, 3)
    pale = np.array([0.80, 0.87, 0.95]) * rng.uniform(0.92, 1.05, 3)
    grey = np.array([0.78, 0.80, 0.83]) * rng.uniform(0.75, 1.15)
    warm = np.array([1.0, 0.80, 0.58]) * rng.uniform(0.9, 1.05, 3)
    dark = np.array([0.05, 0.06, 0.11]) * rng.uniform(0.6, 1.8)
    glow = np.array([0.20, 0.17, 0.17]) * rng.uniform(0.5, 1.6)
    sun_white = np.array([1.0, 0.97, 0.9])
    fog = rng.random() < 0.12
    visibility = float(np.exp(rng.uniform(*(np.log([90, 300]) if fog else np.log([400, 4000])))))
    deep = rng.uniform(0.2, 0.42) * np.array([0.93, 1.0, 1.18])
    burnt = rng.uniform(1.0, 1.5)
    choices = (
        (0.95 * sun_white, deep, blue, pale, rng.uniform(0, 0.7)),
        (0.12 * sun_white, np.array([0.5, 0.52, 0.55]), grey * burnt, grey * 1.04 * burnt, 1.0),
        (0.85 * warm, deep, blue, 0.5 * (pale + warm), 0.4),
        (0.25 * warm, 0.8 * deep, 0.5 * blue, 0.8 * warm, 0.5),
        (0.02 * sun_white, np.array([0.13, 0.13, 0.16]), dark, glow, 0.6),
    )
    sun, ambient, zenith, haze, cloud = choices[kind]
    lamp = (0.25, 0.3, 0.6, 1.0, 1.3)[kind]
    return Light(direction, sun, ambient, zenith, haze, visibility, float(cloud), lamp)


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """Draw a camera, mostly a good one."""
    return Sensor(
        gain=float(np.exp(rng.normal(0, 0.16))),
        balance=np.exp(rng.normal(0, 0.04, 3)),
        vignette=float(rng.uniform(0, 0.35)),
        noise=float(rng.exponential(1.6)),
        blur_px=float(rng.uniform(0.3, 0.8)),
        contrast=float(rng.uniform(0.85, 1.3)),
    )
