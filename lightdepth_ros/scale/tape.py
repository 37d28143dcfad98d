# SPDX-License-Identifier: Apache-2.0
"""Taped distances, and the network's depth at the pixels of the measured thing."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightdepth_ros.errors import ConfigError, DataError
from lightdepth_ros.perception.ground import robust_sigma
from lightdepth_ros.scale.fit import Pairs
from lightdepth_ros.scale.view import Seen

FORM = 'U,V=METRES for a pixel or U0,V0,U1,V1=METRES for a region'


@dataclass(frozen=True)
class Tape:
    """A measured distance and where the thing is in the image.

    box  (u0, v0, u1, v1) in pixels of the image file; a single pixel has u0 = u1 and v0 = v1.
    """

    image: Path
    box: tuple[float, float, float, float]
    metres: float

    @property
    def text(self) -> str:
        """Where it is, in words."""
        u0, v0, u1, v1 = self.box
        return f'{u0:g},{v0:g}' if (u0, v0) == (u1, v1) else f'{u0:g},{v0:g} to {u1:g},{v1:g}'


@dataclass(frozen=True)
class Reading:
    """What the network says of a tape: median metres and relative spread of its pixels."""

    tape: Tape
    predicted_m: float
    spread: float
    pixels: int


def parse_tape(image: Path, text: str) -> Tape:
    """Turn --at's words into a Tape; ConfigError otherwise."""
    place, _, metres = text.partition('=')
    try:
        numbers = [float(n) for n in place.split(',')]
        return make_tape(image, numbers, float(metres))
    except ValueError as error:
        raise ConfigError(f'--at is {text!r}; it is {FORM}, such as 320,240=4.85') from error


def make_tape(image: Path, place: list[float], metres: float) -> Tape:
    """Return a checked Tape; ValueError for another count of numbers, ConfigError for bad ones."""
    if len(place) == 2:
        place = [*place, *place]
    u0, v0, u1, v1 = place
    if not (np.isfinite(place).all() and u0 <= u1 and v0 <= v1 and 0 < metres < 1000):
        raise ConfigError(
            f'the distance {metres:g} m at {place}: it must lie between 0 and 1000 m, and the '
            'region go from its top left to its bottom right pixel'
        )
    return Tape(image, (u0, v0, u1, v1), metres)


def read_tapes(path: Path) -> list[Tape]:
    """Read a CSV file with lines image,u,v,metres or image,u0,v0,u1,v1,metres.

    Image names are relative to the file; empty lines and lines that begin with # are left out.
    """
    tapes = []
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f'cannot read {path}: {error}') from error
    for number, row in enumerate(csv.reader(lines), 1):
        if not row or row[0].lstrip().startswith('#') or row[-1].strip() == 'metres':
            continue
        try:
            values = [float(cell) for cell in row[1:]]
            tapes.append(make_tape(path.parent / row[0].strip(), values[:-1], values[-1]))
        except (ValueError, IndexError) as error:
            raise ConfigError(
                f'{path}, line {number} is {",".join(row)!r}; it is image,u,v,metres or '
                'image,u0,v0,u1,v1,metres'
            ) from error
    if not tapes:
        raise ConfigError(f'{path} has no distances: lines are image,u,v,metres')
    return tapes


def read_off(seen: Seen, tape: Tape, along_axis: bool) -> Reading:
    """Return the network's depth in the tape's region; DataError if it has none there.

    A single pixel stands for the 3 x 3 output pixels around it. along_axis: the tape was held
    along the camera's axis; else it went from the lens straight to the thing.
    """
    where = _pixels_of(seen, tape)
    depth = seen.prediction.depth_m[where]
    distance = depth if along_axis else depth * seen.range_factor[where]
    distance = distance[np.isfinite(distance)]
    if distance.size == 0:
        raise DataError(
            f'{tape.image}: the network gives no distance at {tape.text} (sky, out of range or '
            'unknown). Choose a solid thing, between 1 and 40 m away'
        )
    median = float(np.median(distance))
    return Reading(tape, median, robust_sigma(np.log(distance)), distance.size)


def _pixels_of(seen: Seen, tape: Tape) -> np.ndarray:
    u0, v0, u1, v1 = tape.box
    uv = seen.source_uv
    step = float(np.nanmedian(np.abs(np.diff(uv[..., 0], axis=1))))
    if (u0, v0) == (u1, v1):
        off = np.abs(uv - [u0, v0]).max(axis=-1)
        inside = off <= 1.5 * step if np.nanmin(off) <= step else np.zeros(off.shape, bool)
    else:
        inside = (uv >= [u0, v0]).all(axis=-1) & (uv <= [u1, v1]).all(axis=-1)
    if not inside.any():
        raise DataError(
            f'{tape.image}: {tape.text} is not in the part of the image that the network sees, or '
            f'smaller than its pixels ({step:.0f} wide). --fit adapt shows it nearly all'
        )
    return inside


def pairs_of(readings: list[Reading]) -> Pairs:
    """Return the readings as pairs, each a group of its own."""
    return Pairs(
        np.array([r.tape.metres for r in readings]),
        np.array([r.predicted_m for r in readings]),
        np.arange(len(readings)),
    )
