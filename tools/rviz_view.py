# SPDX-License-Identifier: Apache-2.0
"""The cloud as RViz shows it: drawn with the settings of config/depth.rviz, without RViz.

Orbit view, background, grid, point sizes and colours are read from that file, so that a picture in
the documentation shows what `rviz:=true` opens. Points are squares, as RViz's style "Points".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from lightdepth_ros.point import finite_points, unpacked_rgb
from tools.ros_env import ROOT

CONFIG = ROOT / 'config' / 'depth.rviz'
FIELD_OF_VIEW_DEG = 45.0
"""From top to bottom; RViz leaves it at Ogre's default."""
NEAR_M = 0.1
UP = np.array([0.0, 0.0, 1.0])
"""RViz's orbit always keeps the z axis of the target frame up."""


@dataclass(frozen=True)
class Eye:
    """A pinhole that looks at the scene. axes: (3, 3), rows right, down and forward."""

    position: np.ndarray
    axes: np.ndarray

    def pixels(self, points: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
        """Project (n, 3) metres; return (n, 3) column, row, distance along the view."""
        height, width = hw
        seen = (points - self.position) @ self.axes.T
        focal_px = height / 2 / math.tan(math.radians(FIELD_OF_VIEW_DEG) / 2)
        z = np.maximum(seen[:, 2], 1e-6)
        u = width / 2 + focal_px * seen[:, 0] / z
        v = height / 2 + focal_px * seen[:, 1] / z
        return np.column_stack([u, v, seen[:, 2]])


def load(path: Path = CONFIG) -> dict[str, Any]:
    """Return the part of an RViz configuration that says what is drawn."""
    manager: dict[str, Any] = yaml.safe_load(path.read_text(encoding='utf-8'))[
        'Visualization Manager'
    ]
    return manager


def display(config: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the settings of the display whose name begins so; KeyError if there is none."""
    for found in config['Displays']:
        if found['Name'].startswith(name):
            settings: dict[str, Any] = found
            return settings
    raise KeyError(f'no display {name!r} in the RViz configuration')


def orbit(config: dict[str, Any], turn_rad: float = 0.0) -> Eye:
    """Return the eye of the orbit view; `turn_rad` is added to its yaw."""
    view = config['Views']['Current']
    yaw, pitch = view['Yaw'] + turn_rad, view['Pitch']
    focal = np.array([view['Focal Point'][axis] for axis in 'XYZ'], float)
    away = np.array(
        [math.cos(yaw) * math.cos(pitch), math.sin(yaw) * math.cos(pitch), math.sin(pitch)]
    )
    forward = -away
    right = np.cross(forward, UP)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(forward, right), forward])
    return Eye(focal + view['Distance'] * away, axes)


def picture(
    cloud: np.ndarray, obstacles: np.ndarray | None, hw: tuple[int, int], turn_rad: float = 0.0
) -> np.ndarray:
    """Draw what RViz would: (H, W, 3) uint8 RGB.

    cloud: (h, w) `point.POINT`. obstacles: (h, w) `navigation.POSITION`, or None for none.
    """
    config = load()
    eye = orbit(config, turn_rad)
    canvas = np.empty((*hw, 3), np.uint8)
    canvas[:] = numbers(config['Global Options']['Background Color'])
    canvas = with_grid(canvas, eye, display(config, 'Road'))
    points = finite_points(cloud)
    draw_points(canvas, eye, points, unpacked_rgb(points), display(config, 'Cloud'))
    if obstacles is not None:
        points = finite_points(obstacles)
        settings = display(config, 'Obstacles')
        marked = canvas.copy()
        color = np.broadcast_to(numbers(settings['Color']), (len(points), 3))
        draw_points(marked, eye, points, color, settings)
        alpha = settings['Alpha']
        canvas = cv2.addWeighted(marked, alpha, canvas, 1 - alpha, 0)
    return canvas


def draw_points(
    canvas: np.ndarray, eye: Eye, points: np.ndarray, colors: np.ndarray, settings: dict[str, Any]
) -> None:
    """Paint each point as a square of the display's size in pixels, near ones over far ones."""
    height, width = canvas.shape[:2]
    size = round(settings['Size (Pixels)'])
    positions = np.column_stack([points[axis] for axis in 'xyz']).astype(float)
    u, v, z = eye.pixels(positions, (height, width)).T
    order = np.argsort(-z)
    order = order[z[order] > NEAR_M]
    left = np.floor(u[order] - size / 2 + 0.5).astype(int)
    top = np.floor(v[order] - size / 2 + 0.5).astype(int)
    dv, du = np.divmod(np.arange(size**2), size)
    x, y = left[:, None] + du, top[:, None] + dv
    shown = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    painted = np.repeat(colors[order][:, None], size**2, axis=1)
    canvas[y[shown], x[shown]] = painted[shown]  # point by point: the last, nearest one stays


def with_grid(canvas: np.ndarray, eye: Eye, settings: dict[str, Any]) -> np.ndarray:
    """Return the picture with a grid over its x-z plane, as transparent as the display says."""
    height, width = canvas.shape[:2]
    half = settings['Plane Cell Count'] * settings['Cell Size'] / 2
    offset = np.array([settings['Offset'][axis] for axis in 'XYZ'], float)
    ticks = np.linspace(-half, half, settings['Plane Cell Count'] + 1)
    ends = [(np.array([t, 0, -half]), np.array([t, 0, half])) for t in ticks]
    ends += [(np.array([-half, 0, t]), np.array([half, 0, t])) for t in ticks]
    lines = canvas.copy()
    for a, b in ends:
        steps = offset + a + np.linspace(0, 1, 81)[:, None] * (b - a)
        path = eye.pixels(steps, (height, width))
        path = path[path[:, 2] > NEAR_M]
        corners = np.clip(path[:, :2], -1e4, 1e4).round().astype(np.int32)
        cv2.polylines(lines, [corners], False, numbers(settings['Color']), 1, cv2.LINE_AA)
    return cv2.addWeighted(lines, settings['Alpha'], canvas, 1 - settings['Alpha'], 0)


def numbers(text: str) -> tuple[int, ...]:
    """Turn RViz's '255; 60; 60' into (255, 60, 60)."""
    return tuple(int(part) for part in text.split(';'))
