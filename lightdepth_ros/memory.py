# SPDX-License-Identifier: Apache-2.0
"""Keep the process from growing: one malloc heap, and free memory returned to the system.

glibc gives each thread a heap of its own, up to eight per core, and a heap cannot return memory
that lies below a block still in use. Models that are loaded, run and freed by new threads fragment
each heap a little more: by 22 MiB for every time that the four resolutions were loaded in
OpenVINO. With one heap, the next model reuses the gaps that the last one left.

Without glibc (musl, macOS, Windows) this does nothing; no such growth is known there.
"""

from __future__ import annotations

import ctypes
import os

M_ARENA_MAX = -8
"""mallopt parameter, from glibc's malloc.h: the most heaps."""
ONE_HEAP = 1


def share_one_heap() -> bool:
    """Let all threads allocate from one heap; return whether that could be set.

    Call it before NumPy, OpenCV or rclpy are imported: they start threads, and heaps that exist
    stay in use. It leaves everything as it is if MALLOC_ARENA_MAX is set.
    """
    library = _glibc()
    if library is None or 'MALLOC_ARENA_MAX' in os.environ:
        return False
    return bool(library.mallopt(M_ARENA_MAX, ONE_HEAP))


def give_back() -> bool:
    """Return free memory to the system; True if there was some.

    Call it after models were freed: it takes about 0.3 ms per MiB, and other threads may wait for
    memory meanwhile.
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
