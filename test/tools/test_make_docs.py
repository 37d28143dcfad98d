# SPDX-License-Identifier: Apache-2.0
"""The API reference holds every module, and a name that is not in it is noticed."""

from __future__ import annotations

import runpy
import zlib
from pathlib import Path

from tools import make_docs
from tools.ros_env import ROOT

HEADER = b'# Sphinx inventory version 2\n# Project: p\n# Version: 1\n# zlib\n'
CODE = """
def shown(): ...
def _hidden(): ...
class Box:
    def lid(self): ...
    def _hinge(self): ...
"""


def inventory(*names: str) -> bytes:
    lines = ''.join(f'{name} py:function 1 page.html#$ -\n' for name in names)
    return HEADER + zlib.compress(lines.encode())


def package(root: Path, code: str) -> None:
    (root / 'training' / 'part').mkdir(parents=True)
    for name in ('__init__', 'part/__init__', 'part/__main__'):
        (root / 'training' / f'{name}.py').touch()
    (root / 'training' / 'part' / 'a.py').write_text(code)


def test_every_module_of_the_runtime_and_the_training_is_in_the_reference():
    settings = runpy.run_path(str(ROOT / 'docs' / 'api' / 'conf.py'))
    assert [Path(p).relative_to(ROOT).as_posix() for p in settings['autoapi_dirs']] == [
        *make_docs.PACKAGES
    ]
    found = make_docs.modules()
    folders = {path.parent for path in found.values()}
    assert len(found) > 150
    assert {
        f for f in folders if not (f / '__init__.py').is_file()
    } == set()  # autoapi skips those
    assert {'members', 'undoc-members'} <= set(settings['autoapi_options'])


def test_pages_that_the_index_names_are_modules():
    text = (ROOT / 'docs' / 'api' / 'index.rst').read_text(encoding='utf-8')
    named = {line.split('`')[0] for line in text.split(':py:mod:`')[1:]}
    assert len(named) > 5
    assert named <= set(make_docs.modules())


def test_a_name_that_is_not_in_the_reference_is_named(tmp_path: Path):
    package(tmp_path, CODE)
    wanted = ['training', 'training.part', 'training.part.a']
    wanted += [f'training.part.a.{name}' for name in ('Box', 'Box.lid', 'shown')]
    assert make_docs.missing(inventory(*wanted), tmp_path) == []
    assert make_docs.missing(inventory(*wanted[:-2]), tmp_path) == wanted[-2:]
    assert make_docs.missing(inventory(), tmp_path) == sorted(wanted)


def test_a_module_that_lists_its_public_names_shows_those_alone(tmp_path: Path):
    package(tmp_path, f"__all__ = ['Box']\n{CODE}")
    path = tmp_path / 'training' / 'part' / 'a.py'
    assert list(make_docs.public_names('m', path)) == ['m.Box', 'm.Box.lid']
