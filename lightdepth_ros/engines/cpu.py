# SPDX-License-Identifier: Apache-2.0
"""What this processor computes fast in: 8-bit dot products and bfloat16.

`ONEDNN_MAX_CPU_ISA`, the variable that caps the instructions OpenVINO may use, caps the answers
here too. So one machine can play an older one, and what is decided by these answers is tested.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPUINFO = Path('/proc/cpuinfo')
CAP = 'ONEDNN_MAX_CPU_ISA'

DOT_PRODUCT = {
    'avx512_vnni': 'AVX-512 VNNI',
    'avx_vnni': 'AVX-VNNI',
    'i8mm': 'Armv8.6',
    'asimddp': 'Armv8.2',
}
"""Flag of the kernel -> name. Each multiplies four pairs of bytes and adds them in 32 bits. A CPU
with none of them adds two products in 16 bits: slowly, and wrongly beyond 32767."""

WITHOUT_DOT_PRODUCT = ('SSE41', 'AVX', 'AVX2', 'AVX512_CORE')
WITHOUT_BF16 = ('SSE41', 'AVX', 'AVX2', 'AVX2_VNNI')
"""Values of CAP that take the instructions away, on x86. OpenVINO computes in bfloat16 from
AVX512_CORE on: without instructions of its own, and slowly."""


def dot_product() -> str:
    """Return the name of this CPU's 8-bit dot product, '' if it has none that may be used."""
    if cap() in WITHOUT_DOT_PRODUCT:
        return ''
    found = flags()
    names = (name for flag, name in DOT_PRODUCT.items() if flag in found)
    return next(names, '')


def cap() -> str:
    """Return the cap on x86 instructions that is set, in capitals; '' for none."""
    return os.environ.get(CAP, '').upper()


def flags() -> frozenset[str]:
    """Return the features that the kernel lists for the first core; empty where it lists none."""
    for line in _text(CPUINFO).splitlines():
        name, _, words = line.partition(':')
        if name.strip() in ('flags', 'Features'):  # x86, Arm
            return frozenset(words.split())
    return frozenset()


def name() -> str:
    """Return the processor's name as the kernel gives it, or its architecture."""
    for line in _text(CPUINFO).splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.machine()


def summary() -> str:
    """Return one line: the processor, and which files `model: int8` means on it."""
    capped = f', capped at {cap()} by {CAP}' if cap() else ''
    found = dot_product()
    meaning = 'the 8-bit models' if found else 'the float32 models: 8 bits gain too little'
    return f'{name()}{capped}: {found or "no"} 8-bit dot product; model int8 means {meaning}'


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''
