# SPDX-License-Identifier: Apache-2.0
"""The one table of semantic classes: Cityscapes train ids, display colours and the nav7 grouping.

Contract, colours, navigation configs and training all read this table and nothing else.
Colours follow the Cityscapes palette (Cordts et al., CVPR 2016), so pictures look as readers
expect.
"""

from typing import NamedTuple

import numpy as np

UNLABELLED = 255
"""Label id of a pixel without a class, in every label image here (uint8)."""

NAV7_NAMES = (
    'drivable',
    'non_drivable_ground',
    'person',
    'vehicle',
    'roadside_object',
    'far',
    'sky',
)
"""Coarse classes that CamVid, IDD and Cityscapes share; the index is the nav7 id."""

NAV7_ID = {name: index for index, name in enumerate(NAV7_NAMES)}


class SemanticClass(NamedTuple):
    """One class: train id, name, display colour (R, G, B 0-255) and nav7 id."""

    id: int
    name: str
    color: tuple[int, int, int]
    nav7: int


CLASSES = (
    SemanticClass(0, 'road', (128, 64, 128), 0),
    SemanticClass(1, 'sidewalk', (244, 35, 232), 1),
    SemanticClass(2, 'building', (70, 70, 70), 5),
    SemanticClass(3, 'wall', (102, 102, 156), 4),
    SemanticClass(4, 'fence', (190, 153, 153), 4),
    SemanticClass(5, 'pole', (153, 153, 153), 4),
    SemanticClass(6, 'traffic_light', (250, 170, 30), 4),
    SemanticClass(7, 'traffic_sign', (220, 220, 0), 4),
    SemanticClass(8, 'vegetation', (107, 142, 35), 5),
    SemanticClass(9, 'terrain', (152, 251, 152), 1),
    SemanticClass(10, 'sky', (70, 130, 180), 6),
    SemanticClass(11, 'person', (220, 20, 60), 2),
    SemanticClass(12, 'rider', (255, 0, 0), 2),
    SemanticClass(13, 'car', (0, 0, 142), 3),
    SemanticClass(14, 'truck', (0, 0, 70), 3),
    SemanticClass(15, 'bus', (0, 60, 100), 3),
    SemanticClass(16, 'train', (0, 80, 100), 3),
    SemanticClass(17, 'motorcycle', (0, 0, 230), 3),
    SemanticClass(18, 'bicycle', (119, 11, 32), 3),
)

CLASS_ID = {c.name: c.id for c in CLASSES}
SKY = CLASS_ID['sky']


def palette() -> np.ndarray:
    """Return the (256, 3) uint8 RGB colour of every label id; ids without a class are black."""
    table = np.zeros((256, 3), np.uint8)
    for c in CLASSES:
        table[c.id] = c.color
    return table


def nav7_table() -> np.ndarray:
    """Return the (256,) uint8 nav7 id of every train id; ids without a class map to 255."""
    table = np.full(256, UNLABELLED, np.uint8)
    for c in CLASSES:
        table[c.id] = c.nav7
    return table
