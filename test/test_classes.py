# SPDX-License-Identifier: Apache-2.0
"""The class table agrees with itself."""

import numpy as np

from lightdepth_ros.classes import (
    CLASS_ID,
    CLASSES,
    NAV7_NAMES,
    SKY,
    UNLABELLED,
    nav7_table,
    palette,
)


def test_ids_count_up_from_zero_and_names_are_unique():
    assert [c.id for c in CLASSES] == list(range(19))
    assert len({c.name for c in CLASSES}) == len({c.color for c in CLASSES}) == 19
    assert CLASSES[SKY].name == 'sky'
    assert CLASS_ID['road'] == 0


def test_palette_gives_each_class_its_colour_and_black_to_the_rest():
    table = palette()
    assert tuple(table[CLASS_ID['road']]) == (128, 64, 128)
    assert tuple(table[CLASS_ID['car']]) == (0, 0, 142)
    assert not table[len(CLASSES) :].any()


def test_every_class_has_a_nav7_group_and_every_group_a_class():
    table = nav7_table()
    assert set(table[: len(CLASSES)]) == set(range(len(NAV7_NAMES)))
    assert np.all(table[len(CLASSES) :] == UNLABELLED)
    groups = {name: NAV7_NAMES[table[CLASS_ID[name]]] for name in ('road', 'person', 'bus', 'sky')}
    assert groups == {'road': 'drivable', 'person': 'person', 'bus': 'vehicle', 'sky': 'sky'}
