# SPDX-License-Identifier: Apache-2.0
"""A small stereo data set with lidar, written by tests: walls whose depth is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

HW = (96, 240)
FOCAL_PX, BASELINE_M = 300.0, 0.5
WALL_PX = 10
"""Disparity of the wall: 300 * 0.5 / 10 = 15 m."""
LIDAR_M = 14.5


def write_pairs(folder: Path, frames: int) -> str:
    """Write images, lidar and manifest; returns the data set's name for open_dataset."""
    rows = [write_pair(folder, i) for i in range(frames)]
    head = 'id,image,right,depth,fx,fy,cx,cy,baseline_m'
    (folder / 'manifest.csv').write_text('\n'.join([head, *rows]) + '\n')
    return f'manifest@{folder}'


def write_pair(folder: Path, index: int) -> str:
    """Write a wall 15 m away, noise for texture; lidar says 14.5 m. Returns the CSV row."""
    rng = np.random.default_rng(index)
    noise = rng.integers(0, 256, (HW[0], HW[1] + WALL_PX, 3), dtype=np.uint8)
    wall = cv2.GaussianBlur(noise, (0, 0), 1.0)
    cv2.imwrite(str(folder / f'left{index}.png'), wall[:, : HW[1]])
    cv2.imwrite(str(folder / f'right{index}.png'), wall[:, WALL_PX:])
    depth = np.zeros(HW, np.uint16)
    depth[10::4, 12::3] = round(LIDAR_M * 256)
    cv2.imwrite(str(folder / f'depth{index}.png'), depth)
    return (
        f'f{index},left{index}.png,right{index}.png,depth{index}.png,{FOCAL_PX},{FOCAL_PX},'
        f'{HW[1] / 2},{HW[0] / 2},{BASELINE_M}'
    )
