# SPDX-License-Identifier: Apache-2.0
"""The ground as an anchor: how high the camera seems over the ground it predicts, against how high
it is mounted, followed over time.

Each frame tells a factor, a pitch and a roll where it shows flat ground. They are filtered with
their uncertainty; where no flat ground is seen the last values stay and the doubt grows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lightdepth_ros.camera import Camera
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception.anchor import AnchorPoints
from lightdepth_ros.perception.ground import fit_ground

FIT_PIXELS, ANCHOR_PIXELS = 1500, 400
"""About how many ground pixels are looked at for the plane, and stand as anchors."""
LEAST_PIXELS = 60
FIT_HEIGHTS, ANCHOR_HEIGHTS = 25.0, 8.0
"""How far the ground is looked at for the plane, and holds anchors, in camera heights: farther
ground tells of the pitch, but a small error of the pitch moves it far."""
LARGEST_SPREAD = 0.15
"""Robust deviation of ln depth from the plane, above which the ground is not flat."""
LARGEST_TILT_DEG = 8.0
"""The ground may lean so far against the mount: slopes and a nodding robot; beyond it is a wall or
another floor."""
FACTORS = (1 / 6, 6.0)

NOISE = np.array([0.04, 1.0, 1.2])
"""What one frame's fit is off by: ln factor, pitch and roll in degrees."""
ALIKE_S = 1.0
"""Frames within this time err alike, so they count as one."""
START = np.array([0.5, 1.0, 1.0])
"""Doubt before the first frame; of the angles, how far they may be off the mount at any time."""
WALK = 0.03
"""How far ln factor may wander in a second."""
SWAY_S = 2.0
"""The time in which a nodding robot comes back to its mount."""
GATE = 3.0
"""A frame farther off than so many deviations is weighed down, not believed at once."""
GAP_S = 30.0
"""After a longer pause, or when time runs backwards, everything is learnt anew."""


@dataclass(frozen=True)
class GroundLook:
    """What one frame tells. log_factor: ln(true / predicted height). pitch_deg, roll_deg: as Mount
    has them. pixels: how many lie on the plane. why_not: empty, or why nothing can be told."""

    log_factor: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    pixels: int = 0
    why_not: str = ''


def look_at_ground(
    depth_m: np.ndarray, label_id: np.ndarray, camera: Camera, mount: Mount, ground: np.ndarray
) -> GroundLook:
    """Fit a plane to the ground of one frame.

    depth_m: (h, w) float32 metres as predicted; label_id: (h, w) uint8; ground: (256,) bool by
    label id. Only pixels whose rays reach the ground within FIT_HEIGHTS count.
    """
    step = max(1, int(math.sqrt(depth_m.size / FIT_PIXELS / 2)))
    rays = camera.rays()[::step, ::step]
    depth = depth_m[::step, ::step]
    slope = _slope(rays, mount)
    seen = ground[label_id[::step, ::step]] & np.isfinite(depth) & (depth > 0)
    seen &= slope > 1 / FIT_HEIGHTS
    if np.count_nonzero(seen) < LEAST_PIXELS:
        return GroundLook(why_not='no ground is seen')
    plane = fit_ground(depth, rays, seen)
    if plane is None or plane.points < LEAST_PIXELS or not math.isfinite(plane.height_m):
        return GroundLook(why_not='no ground is seen')
    if plane.spread > LARGEST_SPREAD:
        return GroundLook(why_not=f'the ground is not flat: it scatters by {plane.spread:.0%}')
    tilt = math.degrees(math.acos(min(1.0, float(np.dot(plane.normal, mount.down)))))
    factor = mount.height_m / plane.height_m
    if tilt > LARGEST_TILT_DEG or not FACTORS[0] < factor < FACTORS[1]:
        return GroundLook(
            why_not=f'the ground leans by {tilt:.0f} degrees against the mount, with a factor of '
            f'{factor:.2f}'
        )
    found = Mount.from_down(1.0, np.array(plane.normal))
    return GroundLook(math.log(factor), found.pitch_deg, found.roll_deg, plane.points)


def _slope(rays: np.ndarray, mount: Mount) -> np.ndarray:
    """Return (h, w) float32: metres towards the ground per metre of depth."""
    x, y, z = (np.float32(value) for value in mount.down)
    slope: np.ndarray = rays[..., 0] * x + rays[..., 1] * y + z
    return slope


@dataclass(frozen=True)
class GroundState:
    """What is known now. factor multiplies predicted depth; sigma: standard deviation of its ln;
    mount: the camera over the ground as it is now; seen: whether this frame told anything."""

    factor: float
    sigma: float
    mount: Mount
    seen: bool
    why_not: str


class GroundFilter:
    """Follows three numbers of one camera (Kalman, 1960): ln factor, a random walk, and how far
    pitch and roll are off the mount as told, which come back to it."""

    def __init__(self) -> None:
        self._away = np.zeros(3)
        self._alike = 1.0
        self._variance = START**2
        self._mount: Mount | None = None
        self._stamp_s = -math.inf

    def update(self, look: GroundLook, mount: Mount, stamp_s: float) -> GroundState:
        """Take a frame in. mount: as it is told; stamp_s: of the image."""
        self._pass_time(mount, stamp_s)
        if not look.why_not:
            off = look.pitch_deg - mount.pitch_deg, look.roll_deg - mount.roll_deg
            self._believe(np.array([look.log_factor, *off]))
        log_factor, pitch, roll = (float(value) for value in self._away)
        known = self._variance[0] < START[0] ** 2 / 2
        return GroundState(
            math.exp(log_factor) if known else 1.0,
            float(np.sqrt(self._variance[0])),
            Mount(mount.height_m, mount.pitch_deg + pitch, mount.roll_deg + roll),
            not look.why_not,
            look.why_not,
        )

    def _pass_time(self, mount: Mount, stamp_s: float) -> None:
        gap_s = stamp_s - self._stamp_s
        self._stamp_s = stamp_s
        before = self._mount
        self._mount = mount
        raised = 0.0 if before is None else abs(math.log(mount.height_m / before.height_m))
        if before is None or not 0 <= gap_s <= GAP_S or raised > NOISE[0]:
            self._away, self._variance, self._alike = np.zeros(3), START**2, 1.0
            return
        self._away[1:] *= math.exp(-gap_s / SWAY_S)
        kept = math.exp(-2 * gap_s / SWAY_S)
        self._variance[1:] = START[1:] ** 2 * (1 - kept) + self._variance[1:] * kept
        self._variance[0] = min(self._variance[0] + WALK**2 * gap_s, START[0] ** 2)
        self._alike = max(1.0, ALIKE_S / max(gap_s, 1e-3))

    def _believe(self, told: np.ndarray) -> None:
        surprise = told - self._away
        noise = NOISE**2 * self._alike
        far = np.abs(surprise) / (GATE * np.sqrt(self._variance + noise))
        gain = self._variance / (self._variance + noise * np.maximum(far, 1) ** 2)
        self._away = self._away + gain * surprise
        self._variance = (1 - gain) * self._variance


def ground_points(
    depth_m: np.ndarray,
    label_id: np.ndarray,
    camera: Camera,
    state: GroundState,
    ground: np.ndarray,
) -> AnchorPoints:
    """Return anchors on the ground of a frame: where its rays meet the plane below the camera."""
    step = max(1, int(math.sqrt(depth_m.size / ANCHOR_PIXELS / 4)))
    slope = _slope(camera.rays()[::step, ::step], state.mount)
    seen = ground[label_id[::step, ::step]] & (slope > 1 / ANCHOR_HEIGHTS)
    seen &= np.isfinite(depth_m[::step, ::step])
    v, u = np.nonzero(seen)
    depth = (state.mount.height_m / slope[v, u]).astype(np.float32)
    return AnchorPoints((u * step).astype(np.float32), (v * step).astype(np.float32), depth)
