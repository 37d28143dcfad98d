# SPDX-License-Identifier: Apache-2.0
"""Light, air and camera faults of a picture: day, night, fog, snow, wet, dim, burnt out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from training.datasets.synthetic import light
from training.datasets.synthetic.light import Light, Sensor

INDOORS = {'lit': 0.68, 'dim': 0.14, 'burnt': 0.08, 'flat': 0.1}
OUTDOORS = {
    'day': 0.46, 'low sun': 0.1, 'night': 0.12, 'fog': 0.12, 'snow': 0.06, 'wet': 0.08,
    'burnt': 0.03, 'flat': 0.03,
}  # fmt: skip
"""Shares of the conditions."""


@dataclass(frozen=True)
class Condition:
    """What changes the look of a scene.

    lamp_share how much of the light comes from the place's lamps (0..1); headlight: strength of
               the robot's own lamp. mirror: how much the ground reflects. snow: 0..1, how white
               the ground is. veil: share of the picture's contrast that is lost.
    """

    name: str
    light: Light
    sensor: Sensor
    lamp_share: float = 0.0
    headlight: float = 0.0
    mirror: float = 0.0
    snow: float = 0.0
    veil: float = 0.0


def draw(rng: np.random.Generator, indoors: bool) -> Condition:
    """Draw a condition."""
    shares = INDOORS if indoors else OUTDOORS
    name = str(rng.choice(list(shares), p=list(shares.values())))
    condition = within(rng, name) if indoors else outside(rng, name)
    sensor = condition.sensor
    if name == 'burnt':
        gain, contrast = float(rng.uniform(1.7, 2.8)), float(rng.uniform(0.6, 1.0))
        sensor = replace(sensor, gain=gain, contrast=contrast)
    return replace(condition, sensor=sensor, veil=rng.uniform(0.25, 0.65) * (name == 'flat'))


def within(rng: np.random.Generator, name: str) -> Condition:
    """Draw the light of a room."""
    sensor = light.draw_sensor(rng)
    azimuth, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(35, 80))
    flat = np.cos(elevation)
    direction = np.array([flat * np.sin(azimuth), np.sin(elevation), flat * np.cos(azimuth)])
    warm = np.array([1.0, 0.97, 0.92]) * np.exp(rng.normal(0, 0.05, 3))
    strength, lamp = float(rng.uniform(0.3, 0.6)), 0.8
    if name == 'dim':
        strength = float(np.exp(rng.uniform(np.log(0.04), np.log(0.16))))
        sensor = replace(
            sensor, noise=float(rng.uniform(2, 13)), gain=float(rng.uniform(0.6, 1.2))
        )
        lamp = float(rng.choice([0.0, 0.1]))
    room = Light(
        direction, 0.5 * strength * warm, strength * warm, warm, 0.8 * warm, 1e4, 0.0, lamp
    )
    mirror = float(rng.uniform(0.2, 0.8)) if rng.random() < 0.25 else 0.0
    head = float(rng.uniform(0.3, 1.2)) if name == 'dim' and rng.random() < 0.4 else 0.0
    return Condition(name, room, sensor, float(rng.uniform(0.3, 0.85)), head, mirror)


def outside(rng: np.random.Generator, name: str) -> Condition:
    """Draw the light of a place out of doors."""
    sensor = light.draw_sensor(rng)
    while True:
        sky = light.draw_light(rng)
        low = sky.sun_dir[1] < 0.45 and sky.sun.mean() > 0.3
        if sky.sun.mean() > 0.03 and (low or name != 'low sun'):
            break
    base = Condition(name, sky, sensor)
    if name == 'night':
        return night(rng, base)
    if name == 'fog':
        grey = np.array([0.72, 0.74, 0.76]) * rng.uniform(0.5, 1.25)
        thick = float(np.exp(rng.uniform(np.log(5), np.log(70))))
        sky = replace(sky, sun=0.1 * sky.sun, ambient=0.7 * grey, zenith=grey, haze=grey,
                      visibility_m=thick, cloud=1.0)  # fmt: skip
        return replace(base, light=sky)
    if name == 'snow':
        return replace(base, snow=float(rng.uniform(0.5, 1.0)))
    if name == 'wet':
        sky = replace(sky, sun=0.25 * sky.sun, ambient=sky.ambient * 1.2)
        return replace(base, light=sky, mirror=float(rng.uniform(0.5, 1.0)))
    return base


def night(rng: np.random.Generator, base: Condition) -> Condition:
    """Return a night with street lamps, perhaps a head light, wet ground now and then."""
    dark = np.array([0.03, 0.035, 0.06]) * rng.uniform(0.4, 2.0)
    glow = np.array([0.12, 0.1, 0.1]) * rng.uniform(0.3, 1.6)
    ambient = np.array([0.16, 0.14, 0.12]) * rng.uniform(0.5, 1.8)
    clear = max(base.light.visibility_m, 300.0)
    sky = replace(base.light, sun=0.02 * np.ones(3), ambient=ambient, zenith=dark, haze=glow,
                  visibility_m=clear, cloud=0.3, lamp=1.4)  # fmt: skip
    sensor = replace(
        base.sensor, noise=float(rng.uniform(2, 12)), gain=float(rng.uniform(0.7, 1.3))
    )
    head = float(rng.uniform(0.4, 1.5)) if rng.random() < 0.45 else 0.0
    mirror = float(rng.uniform(0.5, 1.0)) if rng.random() < 0.3 else 0.0
    return replace(base, light=sky, sensor=sensor, lamp_share=0.8, headlight=head, mirror=mirror)
