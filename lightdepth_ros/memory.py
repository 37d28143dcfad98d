# SPDX-License-Identifier: Apache-2.0
"""Keeps the process from growing: how glibc's malloc lays out memory, and giving it back.

glibc gives threads heaps of their own, up to eight a core, and none of them gives back what lies
below a block still in use. Models that are loaded, run and freed by ever new threads so leave each
heap a little fuller of holes: 22 MiB for every time that the four resolutions were loaded in
OpenVINO. With one heap, the holes that one model leaves are filled by the next.

Without glibc (musl, macOS, Windows) nothing is done, and nothing of this kind is known there.
"""

from __future__ import annotations

import ctypes
import os

M_ARENA_MAX = -8
"""mallopt parameter, from glibc's malloc.h: the most heaps."""
ONE_HEAP = 1


def share_one_heap() -> bool:
    """Let all threads allocate from one heap; return whether that could be set.

    To be called before NumPy, OpenCV or rclpy are imported, which start threads: heaps that exist
    stay in use. Whoever has set MALLOC_ARENA_MAX knows better, and is left alone.
    """
    library = _glibc()
    if library is None or 'MALLOC_ARENA_MAX' in os.environ:
        return False
    return bool(library.mallopt(M_ARENA_MAX, ONE_HEAP))


def give_back() -> bool:
    """Return free memory to the system; True if there was some.

    Takes some 0.3 ms for each MiB, during which other threads may wait for memory: for the moment
    after models were freed.
    """
    library = _glibc()
    return library is not None and bool(library.malloc_trim(0))


def has_glibc() -> bool:
    """Return whether the two above do anything here."""
    return _glibc() is not None


def _glibc() -> ctypes.CDLL | None:
    """Return the C library of this process if it has glibc's extensions."""
    library = ctypes.CDLL(None) if os.name == 'posix' else None
    return library if hasattr(library, 'malloc_trim') and hasattr(library, 'mallopt') else None
