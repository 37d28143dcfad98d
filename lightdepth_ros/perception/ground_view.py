# SPDX-License-Identifier: Apache-2.0
"""What a mount means for a network input: its ground map, and where no sky can be. Remembered."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.mount import Mount, ground_map

SAME_DEG = 0.05
"""A mount that has turned by less keeps its map. It moves the horizon by 0.4 px of a 480 px wide
input; a robot that stands shakes by more. Its height is in no map."""
SKY_MARGIN_DEG = 2.0
"""Sky may reach so far below the horizon of the mount: mounts are known to about a degree, and
roads go downhill."""
KEPT = 16


@dataclass(frozen=True)
class GroundView:
    """How the ground lies before one camera.

    cells   (1, 4, H / 16, W / 16) float32, the ground map of the network input.
    below   (h, w) bool at the output size: True where a pixel looks more than SKY_MARGIN_DEG below
            the horizon, where there is no sky; None = the horizon is not known.
    """

    cells: np.ndarray
    below: np.ndarray | None


class GroundViews:
    """Makes GroundViews and remembers those of the last cameras. Not thread safe."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Camera | None, tuple[int, int], bool], tuple[Tilt, GroundView]] = {}

    def of(
        self,
        network: Camera | None,
        output: Camera | None,
        input_hw: tuple[int, int],
        mount: Mount | None,
    ) -> GroundView:
        """Return the view of the network's camera, whose output grid is seen by `output`.

        Nothing is known about the ground where camera or mount is None.
        """
        if network is None or output is None:
            mount = None
        key = network, input_hw, mount is not None
        tilt = (0.0, 0.0) if mount is None else (mount.pitch_deg, mount.roll_deg)
        known = self._kept.get(key)
        if known is not None and _same(known[0], tilt):
            return known[1]
        below = None
        if mount is not None and output is not None:
            below = below_horizon(output, mount, SKY_MARGIN_DEG)
        view = GroundView(ground_map(network, mount, input_hw), below)
        if len(self._kept) >= KEPT and key not in self._kept:
            self._kept.clear()
        self._kept[key] = tilt, view
        return view


Tilt = tuple[float, float]
"""Pitch and roll in degrees."""


def _same(first: Tilt, second: Tilt) -> bool:
    return all(abs(a - b) <= SAME_DEG for a, b in zip(first, second, strict=True))


def below_horizon(camera: Camera, mount: Mount, margin_deg: float) -> np.ndarray:
    """Return (h, w) bool: True where a pixel looks more than `margin_deg` below the horizon."""
    rays = camera.rays()
    x, y = rays[..., 0], rays[..., 1]
    down_x, down_y, down_z = mount.down
    towards = down_x * x + down_y * y + down_z
    below: np.ndarray = towards > math.sin(math.radians(margin_deg)) * np.sqrt(x * x + y * y + 1)
    return below
