# SPDX-License-Identifier: Apache-2.0
"""`lightdepth scale tape`: collects taped distances and the network's depth there."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from lightdepth_ros import files
from lightdepth_ros.perception.lens import ViewOf
from lightdepth_ros.perception.perception import Perception
from lightdepth_ros.scale.gathered import Gathered, table
from lightdepth_ros.scale.report import Tile, percent
from lightdepth_ros.scale.tape import Reading, Tape, pairs_of, read_off
from lightdepth_ros.scale.view import Seen, look


def from_tapes(
    tapes: Sequence[Tape], view_of: ViewOf | None, perception: Perception, *, along_axis: bool
) -> Gathered:
    """Compare taped distances with the prediction at their pixels.

    view_of: None = the camera is not known. along_axis: distances are along the camera's axis,
    not from the lens straight to the thing.
    """
    seen: dict[str, Seen] = {}
    for image in dict.fromkeys(tape.image for tape in tapes):
        rgb = files.read_rgb(image)
        view = None if view_of is None else view_of((rgb.shape[0], rgb.shape[1]))
        seen[str(image)] = look(perception, str(image), rgb, view)
    readings = [read_off(seen[str(t.image)], t, along_axis) for t in tapes]
    notes = []
    if view_of is None:
        notes.append(
            'The camera is not known (--fx, --fov-deg or --camera-yaml): the factor then also '
            'stands for its focal length, and fits only a node without calibration.'
        )
    if len(readings) < 3:
        notes.append('Fewer than three distances: their error is unknown. Tape more.')
    return Gathered(
        pairs=pairs_of(readings),
        tables=lambda scale: [_tape_table(readings, scale)],
        tiles=lambda scale: [_tape_tile(s, readings, scale) for s in seen.values()],
        what='taped distances',
        groups='tapes',
        remedy='Tape more of them.',
        least_points=1,
        least_groups=1,
        notes=notes,
    )


def _tape_table(readings: list[Reading], scale: float) -> Table:
    shown = table(
        'taped distances', 'image', 'pixels', 'taped', 'predicted', 'corrected', 'error', 'spread'
    )
    for r in readings:
        corrected = scale * r.predicted_m
        shown.add_row(
            r.tape.image.name,
            r.tape.text,
            f'{r.tape.metres:.2f} m',
            f'{r.predicted_m:.2f} m',
            f'{corrected:.2f} m',
            percent(math.log(corrected / r.tape.metres)),
            f'{r.spread:.1%} of {r.pixels}',
        )
    return shown


def _tape_tile(seen: Seen, readings: list[Reading], scale: float) -> Tile:
    residual = np.full(seen.prediction.depth_m.shape, np.nan)
    for r in readings:
        if str(r.tape.image) == seen.name:
            middle = np.add(r.tape.box[:2], r.tape.box[2:]) / 2
            off = np.nan_to_num(np.abs(seen.source_uv - middle).max(axis=-1), nan=np.inf)
            at = np.unravel_index(np.argmin(off), off.shape)
            residual[at] = math.log(r.tape.metres / (scale * r.predicted_m))
    return Tile(seen.name, seen.rgb, residual)
