# SPDX-License-Identifier: Apache-2.0
"""What a mount means for a network input: its ground map, and where no sky can be. Remembered."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.mount import Mount, ground_map

SAME_DEG, SAME_LN_HEIGHT = 0.05, 0.02
"""A mount that has turned or risen by less keeps its map. It moves the horizon by 0.4 px of a
480 px wide input and the map's cue of the height by 0.01; a robot that stands shakes by more.
(Metres follow the height itself, at once.)"""
SKY_MARGIN_DEG = 2.0
"""Sky may reach so far below the horizon of the mount: mounts are known to about a degree, and
roads go downhill."""
KEPT = 16


Key = tuple[Camera | None, tuple[int, int], bool]
"""The network's camera, the input's size, and whether a mount is known."""


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
        self._kept: dict[
            tuple[Camera | None, tuple[int, int], bool], tuple[Mount | None, GroundView]
        ] = {}

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
        known = self._kept.get(key)
        if known is not None and _same(known[0], mount):
            return known[1]
        below = None
        if mount is not None and output is not None:
            below = below_horizon(output, mount, SKY_MARGIN_DEG)
        view = GroundView(ground_map(network, mount, input_hw), below)
        if len(self._kept) >= KEPT and key not in self._kept:
            self._kept.clear()
        self._kept[key] = mount, view
        return view


def _same(first: Mount | None, second: Mount | None) -> bool:
    if first is None or second is None:
        return first is second
    turned = max(abs(first.pitch_deg - second.pitch_deg), abs(first.roll_deg - second.roll_deg))
    risen = abs(math.log(first.height_m / second.height_m))
    return turned <= SAME_DEG and risen <= SAME_LN_HEIGHT


def below_horizon(camera: Camera, mount: Mount, margin_deg: float) -> np.ndarray:
    """Return (h, w) bool: True where a pixel looks more than `margin_deg` below the horizon."""
    rays = camera.rays()
    x, y = rays[..., 0], rays[..., 1]
    down_x, down_y, down_z = mount.down
    towards = down_x * x + down_y * y + down_z
    below: np.ndarray = towards > math.sin(math.radians(margin_deg)) * np.sqrt(x * x + y * y + 1)
    return below
