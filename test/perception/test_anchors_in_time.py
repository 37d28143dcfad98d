# SPDX-License-Identifier: Apache-2.0
"""Anchors over time: sources together, what holds while they are silent, what is told."""

from __future__ import annotations

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.mount import Mount
from lightdepth_ros.perception import anchoring
from lightdepth_ros.perception.anchor import AnchorPoints
from lightdepth_ros.perception.anchoring import AnchorFrame, Anchoring, Heard
from lightdepth_ros.perception.navigation import class_mask

CAMERA = Camera.from_fov(240, 160, 75)
GROUND = class_mask(('road',))
DEPTH = np.full((160, 240), 4, np.float32)


def points(value_m: float, count: int = 300) -> AnchorPoints:
    rng = np.random.default_rng(0)
    u, v = rng.uniform(0, 239, count), rng.uniform(0, 159, count)
    return AnchorPoints(*(a.astype(np.float32) for a in (u, v, np.full(count, value_m))))


def frame(stamp_s: float, *heard: Heard, sources=('scan',), mount=None) -> AnchorFrame:
    return AnchorFrame(sources, heard, mount, GROUND, stamp_s)


def bend(memory: Anchoring, known: AnchorFrame, depth=DEPTH, label=None):
    return memory.bend(depth, label, None, CAMERA, known).depth_m


def test_a_scan_bends_and_is_told():
    memory = Anchoring()
    assert memory.told is None
    bent = bend(memory, frame(0.0, Heard('scan', points(6.0), 0.03)))
    assert np.median(bent) == pytest.approx(6, rel=0.02)
    assert memory.told is not None
    assert memory.told.sources == ('scan',)
    assert memory.told.age_s == 0.03
    assert memory.told.report.factor == pytest.approx(1.5, rel=0.02)


def test_without_any_anchor_the_very_array_comes_back():
    memory = Anchoring()
    assert bend(memory, frame(0.0, Heard('scan', None, why_not='no message has come'))) is DEPTH
    assert memory.told is not None
    assert memory.told.why_not == {'scan': 'no message has come'}
    assert memory.told.sources == ()
    assert not memory.told.held


def test_the_last_factor_holds_and_then_fades():
    memory = Anchoring()
    for k in range(20):
        bend(memory, frame(k * 0.1, Heard('scan', points(6.0), 0.0)))
    silent = Heard('scan', None, why_not='no message has come')
    held = bend(memory, frame(2.9, silent))
    assert np.median(held) == pytest.approx(6, rel=0.03)
    assert memory.told is not None
    assert memory.told.held
    later = bend(memory, frame(1.9 + anchoring.HOLD_S + anchoring.FADE_S, silent))
    assert np.log(np.median(later) / 4) == pytest.approx(np.log(1.5) / np.e, rel=0.1)
    assert bend(memory, frame(100.0, silent)) is DEPTH
    assert bend(memory, frame(-50.0, silent)) is DEPTH  # the clock was set back


def test_sources_hold_together():
    memory = Anchoring()
    left, right = points(6.0), points(6.0)
    left = AnchorPoints(*(a[left.u < 100] for a in (left.u, left.v, left.depth_m)))
    right = AnchorPoints(*(a[right.u > 140] for a in (right.u, right.v, right.depth_m)))
    heard = Heard('scan', left, 0.02), Heard('cloud', right, -0.05)
    bent = bend(memory, frame(0.0, *heard, sources=('scan', 'cloud')))
    assert np.median(bent[:, :80]) == pytest.approx(6, rel=0.02)
    assert np.median(bent[:, 160:]) == pytest.approx(6, rel=0.02)
    assert memory.told is not None
    assert memory.told.age_s == -0.05


def test_the_ground_anchors_where_the_mount_is_known():
    mount = Mount(0.5, 5)
    down = np.array(mount.down)
    slope = CAMERA.rays().astype(np.float64) @ down[:2] + down[2]
    true = np.where(slope > 0.02, 0.5 / np.maximum(slope, 0.02), np.inf).astype(np.float32)
    label = np.where(slope > 0.02, 0, 10).astype(np.uint8)
    memory = Anchoring()
    bent = bend(memory, frame(0.0, sources=('ground',), mount=mount), true * 3, label)
    seen = np.isfinite(true) & (true < 4)
    assert np.median(np.abs(bent[seen] / true[seen] - 1)) < 0.03
    bend(memory, frame(0.1, sources=('ground',)), true * 3, label)
    assert memory.told is not None
    assert memory.told.why_not == {'ground': 'the height of the camera is not known'}


def test_an_anchor_that_lies_without_pattern_is_refused_and_the_last_factor_holds():
    memory = Anchoring()
    for k in range(10):
        bend(memory, frame(k * 0.1, Heard('scan', points(6.0), 0.0)))
    rng = np.random.default_rng(1)
    wild = points(6.0)
    wild = AnchorPoints(wild.u, wild.v, np.exp(rng.uniform(0, 3.2, 300)).astype(np.float32))
    bent = bend(memory, frame(1.0, Heard('scan', wild, 0.0)))
    assert np.median(bent) == pytest.approx(6, rel=0.03)
    assert memory.told is not None
    assert memory.told.held
    assert 'moved' in memory.told.report.why_not
