# SPDX-License-Identifier: Apache-2.0
"""Engines that are broken on purpose, and how to put one in the place of a backend."""

from __future__ import annotations

import sys
import types

import numpy as np

from lightdepth_ros import engines
from lightdepth_ros.engines import EngineRequest, load_engine
from lightdepth_ros.errors import EngineError


class BrokenEngine:
    """ONNX Runtime with a fault put in after it."""

    backend = 'broken'
    device = 'CPU, broken on purpose'
    one_size = False
    state, text = engines.READY, ''

    def __init__(self, contract_path, fault=None, precision='fp32') -> None:
        self.inner = load_engine(EngineRequest(contract_path, 'onnxruntime', 1))
        self.contract = self.inner.contract
        self.fault = fault or (lambda found: None)
        self.precision = precision
        self.closed = False

    def run(self, image, outputs=engines.OUTPUTS, ground=None):
        found = self.inner.run(image, outputs, ground)
        self.fault(found)
        return found

    def close(self) -> None:
        self.closed = True


def swapped_channels(found):
    found['depth'][...] = found['depth'][:, ::-1]


def two_percent_too_far(found):
    found['depth'] *= 1.02


def one_pixel_far_off(found):
    found['depth'][0, 0, 0] *= 1.5


def other_labels(found):
    found['label'][:, :, ::20] += 1


def not_finite(found):
    found['depth'][0, 0, 0] = np.nan


def smaller(found):
    found['depth'] = found['depth'][:, ::2, ::2]


def no_confidence(found):
    found['confidence'][...] = 0


def fails(found):
    raise EngineError('out of memory')


FAULTS = [
    swapped_channels, two_percent_too_far, one_pixel_far_off, other_labels, not_finite, smaller,
    no_confidence, fails,
]  # fmt: skip


def put_in_place(monkeypatch, name: str, load) -> None:
    """Add a backend `name` whose module is a stand-in with the given `load`."""
    module = types.ModuleType(f'standin_{name}')
    module.load = load
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(engines.ENGINES, name, module.__name__)
    monkeypatch.setitem(engines.PRECISIONS, name, ('fp32',))
    monkeypatch.setitem(engines.INSTALL, name, f'pip install {name}')
