# SPDX-License-Identifier: Apache-2.0
"""Every name in the table of data sets leads to a function that takes its arguments."""

from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
import trees

from tools.ros_env import ROOT
from training.datasets import catalog

ON_DISK = [name for name, opener in catalog.OPENERS.items() if opener.module]


@pytest.mark.parametrize('name', ON_DISK)
def test_opener_exists_and_takes_its_arguments(name):
    opener = catalog.OPENERS[name]
    module = import_module(f'training.datasets.{opener.module}')
    signature(getattr(module, opener.function)).bind(Path(), *opener.arguments)


def test_only_the_synthetic_scenes_need_no_folder():
    assert set(catalog.OPENERS) - set(ON_DISK) == {
        'synthetic', 'synthetic-stereo', 'synthetic-val', 'synthetic-robot', 'synthetic-robot-val',
    }  # fmt: skip


def test_short_names_consist_of_names_in_the_table():
    for long in catalog.ALIASES.values():
        assert set(long.split('+')) <= set(catalog.OPENERS)


def test_root_comes_from_the_environment_else_lies_beside_the_repository(monkeypatch, tmp_path):
    monkeypatch.setenv('LIGHTDEPTH_DATA', str(tmp_path))
    assert catalog.default_root() == tmp_path
    monkeypatch.delenv('LIGHTDEPTH_DATA')
    assert catalog.default_root() == ROOT.parent / 'shared' / 'data'


def test_folder_in_the_name_wins_over_the_root(tmp_path):
    trees.write_image(tmp_path / 'a.png', trees.picture((20, 30)))
    (tmp_path / 'manifest.csv').write_text('image\na.png\n')
    assert len(catalog.open_dataset(f'manifest@{tmp_path}', Path('/nowhere'))) == 1


def test_description_has_a_line_for_every_name():
    lines = catalog.describe().splitlines()
    assert [line.split()[0] for line in lines] == [*catalog.OPENERS, *catalog.ALIASES]
