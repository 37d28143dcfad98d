# SPDX-License-Identifier: Apache-2.0
"""Map a teacher's classes to ours by their names (Cityscapes, ADE20K, VOC, COCO, Vistas, CamVid).

A name that is not in the table stays unmapped: its pixels become 255, and the teacher reports it.
A class that fits only roughly is left out on purpose: a wrong label teaches, a missing one does
not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lightdepth_ros.classes import CLASS_ID, CLASSES

ALSO_CALLED = {
    'road': 'route, lane marking general, lane marking crosswalk, crosswalk plain, '
    'crosswalk zebra, service lane, bike lane, parking, roadshoulder, drivable',
    'sidewalk': 'pavement, pedestrian area, curb cut',
    'building': 'edifice, house, skyscraper, tower, hovel, garage',
    'wall': '',
    'fence': 'railing, rail, fencing, guard rail',
    'pole': 'utility pole, streetlight, street lamp, street light, column pole, polegroup, '
    'traffic sign frame',
    'traffic_light': 'traffic signal, stoplight',
    'traffic_sign': 'traffic sign front, signboard, sign, stop sign, signsymbol, street sign',
    'vegetation': 'tree, plant, palm, palm tree, flora, plant life, bush, shrub, potted plant, '
    'pottedplant',
    'terrain': 'grass, earth, ground, field, sand, land, soil, dirt, hill',
    'sky': 'sky other, sky other merged, clouds',
    'person': 'pedestrian, individual, someone, somebody, mortal, soul, human',
    'rider': 'bicyclist, motorcyclist, other rider',
    'car': 'auto, automobile, machine, motorcar, van, taxi',
    'truck': 'motortruck, lorry',
    'bus': 'autobus, coach, charabanc, double decker, jitney, motorbus, motorcoach, omnibus, '
    'passenger vehicle',
    'train': 'railroad train, tram, on rails',
    'motorcycle': 'motorbike, minibike, motor bike',
    'bicycle': 'bike, wheel cycle, cycle',
}
"""Our class -> other names, after `plain`."""


def plain(name: str) -> str:
    """Lower case, without hyphens, underscores and brackets, single spaces."""
    return ' '.join(re.sub(r'[^a-z0-9]+', ' ', name.lower()).split())


def synonyms() -> dict[str, int]:
    """Return plain name -> our id."""
    table = {plain(c.name): c.id for c in CLASSES}
    table |= {c.name.replace('_', ''): c.id for c in CLASSES}
    for ours, others in ALSO_CALLED.items():
        table |= {plain(other): CLASS_ID[ours] for other in others.split(',') if other.strip()}
    return table


SYNONYMS = synonyms()


@dataclass(frozen=True)
class LabelSpace:
    """matrix (19, C) float32: 1 where source class C counts as ours. unmapped: names left out."""

    matrix: np.ndarray
    unmapped: tuple[str, ...]


def find_class(name: str) -> int | None:
    """Return our id of one source name; ADE20K lists synonyms, as in "road, route"."""
    for part in [name, *re.split(r'[,;]', name)]:
        found = SYNONYMS.get(plain(part))
        if found is not None:
            return found
    return None


def map_names(id2label: Mapping[int, str]) -> LabelSpace:
    """Map source classes 0..C-1, given as id -> name."""
    matrix = np.zeros((len(CLASSES), max(id2label, default=-1) + 1), np.float32)
    unmapped = []
    for source, name in sorted(id2label.items()):
        ours = find_class(name)
        if ours is None:
            unmapped.append(name)
        else:
            matrix[ours, source] = 1
    return LabelSpace(matrix, tuple(unmapped))
