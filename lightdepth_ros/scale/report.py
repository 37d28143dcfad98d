# SPDX-License-Identifier: Apache-2.0
"""What `lightdepth scale` shows and writes: tables, a picture of the points, the node's YAML."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from rich.table import Table

from lightdepth_ros.draw import FONT, INK, PAPER, Color
from lightdepth_ros.files import png, write_files
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.ground import robust_sigma
from lightdepth_ros.scale.fit import Fit, Pairs
from lightdepth_ros.settings_file import read_settings

PICTURES = 4
TILE_PX = 640
"""Width of each image in the picture."""
STRONG = 0.3
"""ln of the factor by which a point is off that gets the full colour."""
RIGHT: Color = (90, 220, 110)
TOO_FAR: Color = (70, 110, 255)
TOO_NEAR: Color = (255, 70, 60)
BANDS_M = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0, math.inf)


@dataclass(frozen=True)
class Tile:
    """An image for the picture: rgb (h, w, 3), and (h, w) ln(true / corrected), NaN = not used."""

    name: str
    rgb: np.ndarray
    residual: np.ndarray


def band_table(pairs: Pairs, scale: float) -> Table:
    """Return the error that remains after the correction, by true distance."""
    table = Table(title='after the correction, by distance', title_justify='left')
    for heading in ('distance', 'points', 'median error', 'spread'):
        table.add_column(heading, justify='right')
    left = np.log(scale * pairs.predicted_m / pairs.true_m)
    for low, high in pairwise(BANDS_M):
        inside = (pairs.true_m >= low) & (pairs.true_m < high)
        if inside.any():
            error, spread = float(np.median(left[inside])), robust_sigma(left[inside])
            end = '' if math.isinf(high) else f'{high:g} m'
            count = str(np.count_nonzero(inside))
            table.add_row(f'{low:g} to {end}', count, percent(error), f'{spread:.1%}')
    return table


def tilt_with_distance(pairs: Pairs, scale: float, least: int) -> float:
    """Return ln of how the error differs between the nearest and the farthest third of points.

    0 with fewer than `least` points in a third.
    """
    if pairs.true_m.size < 3 * least:
        return 0.0
    near, far = np.percentile(pairs.true_m, (33.3, 66.7))
    left = np.log(scale * pairs.predicted_m / pairs.true_m)
    return float(np.median(left[pairs.true_m >= far]) - np.median(left[pairs.true_m <= near]))


def percent(log_error: float) -> str:
    """Return ln of a factor as a signed percentage: '+' = predicted too far."""
    return f'{math.expm1(log_error):+.1%}'


def result_text(fit: Fit, what: str) -> str:
    """Return the factor with its uncertainty in words."""
    error = 'of unknown uncertainty' if math.isnan(fit.error) else f'+- {fit.error:.1%} (1 sigma)'
    return (
        f'depth_scale = {fit.scale:.4f} {error}, from {fit.points} {what}; spread {fit.spread:.1%}'
    )


def write_yaml(path: Path, scale: float, lines: list[str], mount: Mount | None = None) -> None:
    """Write a parameter file for the node, and read it back as the node would.

    lines: how it was measured, written above it as comments. mount: with which it was measured,
    written with it: the factor holds for no other.
    """
    text = ''.join(f'# {line}\n' for line in lines)
    text += f'/**:\n  ros__parameters:\n    depth_scale: {scale:.4f}\n'
    if mount is not None:
        text += (
            f'    camera_height_m: {mount.height_m:.4f}\n'
            f'    camera_pitch_deg: {mount.pitch_deg:.3f}\n'
            f'    camera_roll_deg: {mount.roll_deg:.3f}\n'
        )
    write_files({path: text.encode()})
    read_settings(path)


def write_picture(path: Path, tiles: list[Tile]) -> None:
    """Write the images with the used points: green = right, blue = too far, red = too near."""
    chosen = [tiles[i] for i in np.unique(np.linspace(0, len(tiles) - 1, PICTURES).astype(int))]
    rows = [part for tile in chosen for part in (_tile(tile), _caption(tile.name))]
    rows.append(_caption('green: right   blue: predicted too far   red: too near'))
    write_files({path: png(np.vstack(rows))})


def _tile(tile: Tile) -> np.ndarray:
    height = round(TILE_PX * tile.rgb.shape[0] / tile.rgb.shape[1])
    picture = cv2.resize(tile.rgb, (TILE_PX, height), interpolation=cv2.INTER_LINEAR)
    picture = (picture * 0.6).astype(np.uint8)
    step = TILE_PX / tile.rgb.shape[1]
    for row, column in np.argwhere(np.isfinite(tile.residual)):
        at = (round((column + 0.5) * step), round((row + 0.5) * step))
        cv2.circle(picture, at, max(1, round(step * 0.4)), _color(tile.residual[row, column]), -1)
    return picture


def _color(residual: float) -> Color:
    share = float(np.clip(residual / STRONG, -1, 1))
    end = TOO_NEAR if share > 0 else TOO_FAR
    mixed = [round(a + (b - a) * abs(share)) for a, b in zip(RIGHT, end, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def _caption(text: str) -> np.ndarray:
    strip = np.full((24, TILE_PX, 3), PAPER, np.uint8)
    cv2.putText(strip, text[-90:], (8, 16), FONT, 0.4, INK, 1, cv2.LINE_AA)
    return strip
