# SPDX-License-Identifier: Apache-2.0
"""A process that loads, changes and frees models all day does not grow.

Each measurement is a process of its own, since the heaps of this one are no longer new.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lightdepth_ros import memory
from lightdepth_ros.camera import Camera
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.stream.model_set import ModelSet
from lightdepth_ros.stream.pipeline import Switcher
from tools.soak_watch import memory_mib

ROOT = Path(__file__).parents[1]
MAX_GROWTH_MIB = 5.0
OUTPUTS = ('depth', 'label', 'confidence', 'rgb')

needs_glibc = pytest.mark.skipif(not memory.has_glibc(), reason='memory is kept flat with glibc')


def switcher(config: NodeConfig) -> Switcher:
    return Switcher(ModelSet(lambda line: None), config, lambda line: None, lambda line: None)


def predict(models: Switcher, hw: tuple[int, int] = (480, 640)) -> None:
    rgb = np.full((*hw, 3), 90, np.uint8)
    camera = Camera(hw[1], hw[0], 600.0, 600.0, hw[1] / 2, hw[0] / 2)
    models.current.perception.predict(rgb, camera, OUTPUTS)


def configure_and_clean_up(config: NodeConfig, times: int) -> list[float]:
    """Return the memory in MiB after each time."""
    found = []
    for _ in range(times):
        models = switcher(config)
        predict(models)
        models.close()
        found.append(memory_mib(os.getpid())[0])
    return found


def change_everything(config: NodeConfig, times: int) -> list[float]:
    """Go through all settings and sizes of image; return the memory after each time."""
    models, found = switcher(config), []
    for _ in range(times):
        for fit, name in itertools.product(('crop', 'pad', 'adapt'), ('L', 'M', 'S', 'XS')):
            changed = replace(config, fit=fit, output_resolution=name)
            models.change(changed)
            for hw in ((480, 640), (720, 1280), (360, 640), (1080, 1920)):
                predict(models, hw)
        found.append(memory_mib(os.getpid())[0])
    return found


def measure(what: str, backend: str, resolution: str, times: int) -> list[float]:
    """Run one of the functions above as the node would, in a new process."""
    code = (
        'import sys; sys.path[:0] = sys.argv[2:]\n'
        'import test_memory as t\n'
        't.memory.share_one_heap()\n'
        f'config = t.NodeConfig(backend={backend!r}, output_resolution={resolution!r})\n'
        f'print(*t.{what}(config, {times}))\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code, '-', str(ROOT), str(Path(__file__).parent)],
        env={k: v for k, v in os.environ.items() if k != 'MALLOC_ARENA_MAX'},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [float(word) for word in result.stdout.split()]


@pytest.mark.slow
@needs_glibc
def test_configuring_and_cleaning_up_again_and_again_costs_no_memory():
    found = measure('configure_and_clean_up', 'onnxruntime', 'auto', 12)
    assert max(found[2:]) - found[1] < MAX_GROWTH_MIB, found


@pytest.mark.slow
@needs_glibc
def test_the_same_holds_for_openvino():
    pytest.importorskip('openvino')
    found = measure('configure_and_clean_up', 'openvino', 'L', 10)
    assert max(found[2:]) - found[1] < MAX_GROWTH_MIB, found


@pytest.mark.slow
@needs_glibc
def test_changing_settings_and_image_sizes_costs_no_memory():
    found = measure('change_everything', 'onnxruntime', 'L', 4)
    assert max(found[2:]) - found[1] < MAX_GROWTH_MIB, found


@needs_glibc
def test_free_memory_goes_back_to_the_system():
    blocks = [bytearray(60_000) for _ in range(1000)]  # too small to be mapped one by one
    pin = bytearray(60_000)  # so that the end of the heap is in use
    full_mib = memory_mib(os.getpid())[0]
    del blocks
    memory.give_back()
    assert full_mib - memory_mib(os.getpid())[0] > 40  # of 57
    del pin


@pytest.mark.parametrize('program', ['scripts/depth_node', 'tools/soak_node.py'])
def test_programs_choose_the_heap_before_a_library_can_start_threads(program):
    before, _, _ = (ROOT / program).read_text(encoding='utf-8').partition('    share_one_heap()')
    lines = [line.split() for line in before.splitlines()]
    imported = {line[1] for line in lines if line and line[0] in ('import', 'from')}
    libraries = {name for name in imported if name.split('.')[0] not in sys.stdlib_module_names}
    assert libraries == {'lightdepth_ros.memory'}


def test_without_glibc_nothing_is_done(monkeypatch):
    monkeypatch.setattr(memory, '_glibc', lambda: None)
    assert (memory.share_one_heap(), memory.give_back()) == (False, False)


def test_a_choice_of_the_user_is_left_alone(monkeypatch):
    monkeypatch.setenv('MALLOC_ARENA_MAX', '4')
    assert not memory.share_one_heap()
