# SPDX-License-Identifier: Apache-2.0
"""The demo as one page that needs nothing else: pictures, cloud, charts and tables in one file.

Pictures are JPEG and clouds quantised bytes, both in base64; the page has no address in it and
forbids the browser to load anything. demo_page.html and demo_page.js are its two other parts.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import cv2
import numpy as np

from lightdepth_ros import draw
from lightdepth_ros.classes import CLASSES
from lightdepth_ros.errors import DataError
from lightdepth_ros.point import finite_points, unpacked_rgb
from tools.demo_drive import DriveFrame
from tools.demo_pictures import what_the_network_saw
from tools.demo_report import Answer

MOST_FRAMES = 40
MOST_BYTES = 7_000_000
"""Of pictures and clouds in base64, so that the page stays below 8 MB."""
MOST_POINTS = 5000
PICTURE_WIDTH = 480
JPEG_QUALITY = 80
UNIT_M = 0.01
"""Step of the points' coordinates: int16, so +-327 m."""

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Columns and rows."""


@dataclass(frozen=True)
class Numbers:
    """One answered frame. index: its place in the drive. abs_rel and right_labels are shares,
    None where the truth is not known."""

    index: int
    name: str
    latency_ms: float
    abs_rel: float | None
    right_labels: float | None


@dataclass(frozen=True)
class Shot:
    """One frame that can be looked at: three pictures and the cloud (see `packed_cloud`), each in
    base64."""

    index: int
    camera: str
    depth: str
    labels: str
    cloud: str

    @property
    def size(self) -> int:
        """Bytes in the page."""
        return len(self.camera) + len(self.depth) + len(self.labels) + len(self.cloud)


@dataclass
class Album:
    """Numbers of every frame, and as many evenly spaced frames as the page can hold.

    It need not know how many are to come: when it is full, every other frame is taken out again
    and only every other one of those to come is kept.
    """

    numbers: list[Numbers] = field(default_factory=list)
    shots: list[Shot] = field(default_factory=list)
    stride: int = 1
    label_ids: set[int] = field(default_factory=set)
    """Labels that occurred, for the legend."""

    def add(self, frame: DriveFrame, answer: Answer, numbers: Numbers) -> None:
        """Append an answered frame."""
        self.numbers.append(numbers)
        if numbers.index % self.stride:
            return
        self.label_ids.update(np.unique(answer.label_id).tolist())
        self.shots.append(shot(frame, answer, numbers.index))
        while len(self.shots) > 1 and self._full():
            self.stride *= 2
            self.shots = [s for s in self.shots if s.index % self.stride == 0] or self.shots[:1]

    def _full(self) -> bool:
        return len(self.shots) > MOST_FRAMES or sum(s.size for s in self.shots) > MOST_BYTES


def shot(frame: DriveFrame, answer: Answer, index: int) -> Shot:
    """Draw and encode one frame."""
    seen = what_the_network_saw(frame, answer.depth_m.shape)
    height = round(PICTURE_WIDTH * seen.shape[0] / seen.shape[1])
    small = cv2.resize(seen, (PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
    return Shot(
        index,
        jpeg(small),
        jpeg(draw.depth_picture(answer.depth_m, (height, PICTURE_WIDTH))),
        jpeg(draw.overlay_labels(small, answer.label_id)),
        packed_cloud(answer.cloud),
    )


def jpeg(rgb: np.ndarray) -> str:
    """Encode (H, W, 3) uint8 RGB; base64."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not ok:
        raise DataError(f'OpenCV cannot encode {rgb.dtype} of shape {rgb.shape} as JPEG')
    return base64.b64encode(data).decode()


def packed_cloud(cloud: np.ndarray) -> str:
    """Pack at most MOST_POINTS of a cloud (`point.POINT`), drawn at random, always alike; base64.

    First x, y, z of all points, little-endian int16 in UNIT_M; then red, green, blue, label of all
    points, one byte each. Points without a position are left out.
    """
    points = finite_points(cloud)
    if len(points) > MOST_POINTS:
        points = np.random.default_rng(0).choice(points, MOST_POINTS, replace=False)
    metres = np.stack([points[axis] for axis in 'xyz'], axis=-1)
    place = np.rint(metres / UNIT_M).clip(-32768, 32767).astype('<i2')
    look = np.column_stack([unpacked_rgb(points), points['label']]).astype(np.uint8)
    return base64.b64encode(place.tobytes() + look.tobytes()).decode()


def page(
    album: Album, title: str, lines: Sequence[str], tables: Sequence[Table], closing: str = ''
) -> str:
    """Return the page: `lines` below the title, `closing` below the tables, all plain text."""
    here = Path(__file__)
    parts = {
        'TITLE': escape(title),
        'LINES': ''.join(f'<p>{escape(line)}</p>\n' for line in lines if line),
        'TABLES': ''.join(table(*each) for each in tables),
        'CLOSING': f'<p>{escape(closing)}</p>' if closing else '',
        'SCRIPT': here.with_suffix('.js').read_text(encoding='utf-8'),
        'DATA': embedded(content(album)),
    }
    text, *rest = here.with_suffix('.html').read_text(encoding='utf-8').split('{{')
    for piece in rest:  # in one pass: a text that holds a mark of the template stays a text
        name, _, after = piece.partition('}}')
        text += parts[name] + after
    return text


def content(album: Album) -> dict[str, object]:
    """Return what the page's script reads."""
    return {
        'unit_m': UNIT_M,
        'numbers': [vars(each) for each in album.numbers],
        'shots': [vars(each) for each in album.shots],
        'classes': [
            {'id': c.id, 'name': c.name.replace('_', ' '), 'color': c.color}
            for c in CLASSES
            if c.id in album.label_ids
        ],
    }


def embedded(data: object) -> str:
    """Return JSON that may stand inside a script element."""
    text = json.dumps(data, separators=(',', ':'), allow_nan=False)
    return text.replace('&', r'\u0026').replace('<', r'\u003c').replace('>', r'\u003e')


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in HTML."""
    head = ''.join(f'<th>{escape(cell)}</th>' for cell in columns)
    body = ''.join(
        f'<tr>{"".join(f"<td>{escape(cell)}</td>" for cell in row)}</tr>\n' for row in rows
    )
    return f'<table>\n<tr>{head}</tr>\n{body}</table>\n'
