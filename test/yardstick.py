# SPDX-License-Identifier: Apache-2.0
"""What a fixed piece of NumPy costs here and now: limits of time are told in it, not in seconds.

A slow, throttled or busy machine then moves both sides of a comparison.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

ROUNDS = 5


def piece() -> None:
    """Take exp of 460 800 float32 and sort them: about 1.4 ms on a server CPU of 2024."""
    np.sort(np.exp(-np.abs(_NUMBERS) * 1.5))


def pieces(work: Callable[[], object], rounds: int = 1) -> float:
    """Return the CPU time of `work` in pieces: the least of `rounds`, each between two pieces."""
    return min(_one_round(work) for _ in range(rounds))


def _one_round(work: Callable[[], object]) -> float:
    before_s = _least_s(piece, ROUNDS)
    work_s = _least_s(work, 1)
    return 2 * work_s / (before_s + _least_s(piece, ROUNDS))


def _least_s(work: Callable[[], object], rounds: int) -> float:
    spent = []
    for _ in range(rounds):
        started_s = time.process_time()
        work()
        spent.append(time.process_time() - started_s)
    return min(spent)


_NUMBERS = np.random.default_rng(0).normal(size=460_800).astype(np.float32)
