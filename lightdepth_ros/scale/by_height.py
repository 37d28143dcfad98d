# SPDX-License-Identifier: Apache-2.0
"""`lightdepth scale height`: collects the height of the camera over the predicted ground."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from lightdepth_ros import files
from lightdepth_ros.errors import DataError
from lightdepth_ros.perception.ground import Ground, fit_ground
from lightdepth_ros.perception.lens import ViewOf
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.scale.fit import Pairs
from lightdepth_ros.scale.gathered import Gathered, table
from lightdepth_ros.scale.report import Tile
from lightdepth_ros.scale.view import Seen, look

LEAST_GROUND = 200
"""Ground pixels that an image must have on the plane to count."""
GROUND_SPREAD = 0.2
"""Ground that scatters more about its plane than this share is not flat, or not ground."""


@dataclass(frozen=True)
class _Row:
    seen: Seen
    ground: Ground | None
    why_not: str


def from_ground(
    images: Iterable[Path],
    view_of: ViewOf,
    perception: Perception,
    height_m: float,
    far_m: float,
    ground: np.ndarray,
) -> Gathered:
    """Compare the camera's true height with that over the ground as predicted.

    far_m: ground farther than this is not used. ground: (256,) bool by label id, True = ground.
    """
    rows = []
    for path in images:
        rgb = files.read_rgb(path)
        seen = look(perception, path.name, rgb, view_of((rgb.shape[0], rgb.shape[1])))
        rows.append(_row(seen, ground, far_m))
    good = [(row.seen, row.ground) for row in rows if row.ground and not row.why_not]
    heights = np.array([ground.height_m for _, ground in good])
    pitch = float(np.median([g.pitch_deg for _, g in good])) if good else math.nan
    roll = float(np.median([g.roll_deg for _, g in good])) if good else math.nan
    notes = []
    if 0 < len(good) < 3:
        notes.append('Fewer than three images: their error is unknown. Take more.')
    return Gathered(
        pairs=Pairs(np.full(len(good), float(height_m)), heights, np.arange(len(good))),
        tables=lambda scale: [_ground_table(rows, scale)],
        tiles=lambda scale: [_ground_tile(s, g) for s, g in good],
        what='heights over the ground',
        groups='images',
        remedy='Take pictures with flat, open ground before the camera; the table says what was '
        'wrong with each.',
        least_points=1,
        least_groups=1,
        facts=[
            f'height {height_m:g} m; pitch {pitch:+.2f} deg (+ looks down), roll {roll:+.2f} deg.'
        ],
        notes=notes,
    )


def some_images(place: Path, most: int) -> list[Path]:
    """Return a picture, or at most that many of a folder, evenly over their names."""
    if files.is_image(place):
        return [place]
    if not place.is_dir():
        raise DataError(f'{place} is neither a picture nor a folder of pictures')
    found = files.images_in(place)
    chosen = np.unique(np.linspace(0, len(found) - 1, most).astype(int))
    return [found[i] for i in chosen]


def _row(seen: Seen, mask: np.ndarray, far_m: float) -> _Row:
    prediction = seen.prediction
    assert prediction.label_id is not None
    with np.errstate(invalid='ignore'):
        near = np.isfinite(prediction.depth_m) & (prediction.depth_m < far_m)
    ground = fit_ground(prediction.depth_m, seen.camera.rays(), near & mask[prediction.label_id])
    if ground is None or ground.points < LEAST_GROUND:
        return _Row(seen, ground, f'fewer than {LEAST_GROUND} ground pixels')
    if ground.spread > GROUND_SPREAD:
        return _Row(seen, ground, f'not flat: more than {GROUND_SPREAD:.0%} spread')
    if abs(ground.pitch_deg) > 60 or abs(ground.roll_deg) > 30:
        return _Row(seen, ground, 'the plane stands upright: not the ground')
    return _Row(seen, ground, '')


def _ground_table(rows: list[_Row], scale: float) -> Table:
    shown = table(
        'ground; metres and degrees',
        *('image', 'pixels', 'height', 'corrected', 'pitch', 'roll', 'spread', 'left out'),
    )
    for row in rows:
        g = row.ground
        cells = ['-'] * 6
        if g is not None:
            cells = [
                str(g.points),
                f'{g.height_m:.3f}',
                f'{scale * g.height_m:.3f}',
                f'{g.pitch_deg:+.2f}',
                f'{g.roll_deg:+.2f}',
                f'{g.spread:.1%}',
            ]
        shown.add_row(row.seen.name, *cells, row.why_not)
    return shown


def _ground_tile(seen: Seen, ground: Ground) -> Tile:
    rays = np.concatenate(
        [seen.camera.rays(), np.ones((*ground.used.shape, 1), np.float32)], axis=-1
    )
    residual = np.full(ground.used.shape, np.nan)
    plane_m = ground.height_m / (rays @ np.array(ground.normal))[ground.used]
    residual[ground.used] = np.log(plane_m / seen.prediction.depth_m[ground.used])
    return Tile(seen.name, seen.rgb, residual)
