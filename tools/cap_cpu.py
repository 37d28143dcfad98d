# SPDX-License-Identifier: Apache-2.0
"""Run `lightdepth` as if this x86 CPU knew fewer instructions: one machine plays an older one.

  python -m tools.cap_cpu AVX2 engine check
  python -m tools.cap_cpu AVX512_CORE bench --exit L --no-start

OpenVINO obeys an environment variable. ONNX Runtime knows none: it asks the CPU by `cpuid`. So a
copy of its library is made (in the cache, once for each version), in which an invalid
instruction stands for each `cpuid`. A signal handler answers in its place, with features taken
away. Everything then runs at full speed on the kernels that an older CPU would get; the caches,
clock and memory stay those of this machine. Needs objdump (binutils).
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import mmap
import os
import platform
import shutil
import signal
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from lightdepth_ros.engines import cpu
from lightdepth_ros.engines.cache import cache_dir
from lightdepth_ros.errors import ConfigError
from lightdepth_ros.files import write_files

VNNI = {(7, 0, 'ecx'): (11,), (7, 1, 'eax'): (4,)}
BF16_AND_AMX = {(7, 0, 'edx'): (22, 24, 25), (7, 1, 'eax'): (5, 21)}
AVX512 = {
    (7, 0, 'ebx'): (16, 17, 21, 26, 27, 28, 30, 31),
    (7, 0, 'ecx'): (1, 6, 11, 12, 14),
    (7, 0, 'edx'): (2, 3, 8, 22, 23, 24, 25),
    (7, 1, 'eax'): (4, 5, 21),
}
LEVELS: dict[str, tuple[dict[tuple[int, int, str], tuple[int, ...]], ...]] = {
    'AVX2': (AVX512,),
    'AVX512_CORE': (VNNI, BF16_AND_AMX),
    'AVX512_CORE_VNNI': (BF16_AND_AMX,),
    'all': (),
}
"""Level -> bits to clear, by (leaf, subleaf, register). The names are those of oneDNN."""

LIBRARY = 'onnxruntime.capi.onnxruntime_pybind11_state'
CPUID, INVALID = b'\x0f\xa2', b'\x0f\x0b'
ASK = bytes.fromhex('53 89f8 89f1 4989d0 0fa2 418900 41895804 41894808 4189500c 5b c3')
"""void ask(leaf, subleaf, uint32_t found[4]): `cpuid` as a function of the System V ABI."""
SA_SIGINFO = 4
GREGS = 40
"""Offset of the saved registers in ucontext_t, x86-64 Linux."""
RBX, RDX, RAX, RCX, RIP = 11, 12, 13, 14, 16

_kept: list[object] = []
"""What the handler needs for as long as the process lives."""


def cap(level: str) -> None:
    """Take away from OpenVINO and ONNX Runtime what is beyond `level`; before importing either.

    Raises ConfigError where this cannot be done.
    """
    if level == 'all':
        return
    if platform.machine() != 'x86_64' or platform.system() != 'Linux':
        raise ConfigError(f'{level} is a level of x86-64; this is {platform.machine()}')
    if LIBRARY in sys.modules:
        raise ConfigError('onnxruntime is imported already; cap the CPU before')
    os.environ[cpu.CAP] = level
    spec = importlib.util.find_spec('onnxruntime')  # a dotted name would import it
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations)))
    copy = without_cpuid(next(folder.glob('capi/onnxruntime_pybind11_state*.so')))
    answer_in_place(level)
    sys.meta_path.insert(0, _Redirect(copy))


def without_cpuid(library: Path) -> Path:
    """Return a copy of the library in the cache in which INVALID stands for every CPUID."""
    data = bytearray(library.read_bytes())
    name = hashlib.sha256(data).hexdigest()[:16]
    copy = cache_dir() / f'without_cpuid_{name}' / library.name
    if copy.is_file():
        return copy
    copy.parent.mkdir(parents=True, exist_ok=True)
    for beside in library.parent.glob('libonnxruntime_providers*.so'):  # looked for beside it
        shutil.copy(beside, copy.parent)
    listing = subprocess.run(
        ['objdump', '-d', '--no-show-raw-insn', str(library)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    segments = _segments(bytes(data))
    for line in listing.splitlines():
        words = line.split()
        if words[1:] == ['cpuid']:
            place = _offset(int(words[0].rstrip(':'), 16), segments)
            assert data[place : place + 2] == CPUID, hex(place)
            data[place : place + 2] = INVALID
    write_files({copy: bytes(data)})
    return copy


def _segments(data: bytes) -> list[tuple[int, int, int]]:
    """Return (address, offset, size) of each loaded segment of an ELF file."""
    start, size, count = (
        struct.unpack_from('<Q', data, 32)[0],
        *struct.unpack_from('<HH', data, 54),
    )
    found = []
    for index in range(count):
        kind, _, offset, address, _, filled = struct.unpack_from(
            '<IIQQQQ', data, start + index * size
        )
        if kind == 1:
            found.append((address, offset, filled))
    return found


def _offset(address: int, segments: list[tuple[int, int, int]]) -> int:
    return next(o + address - a for a, o, size in segments if a <= address < a + size)


def answer_in_place(level: str) -> None:
    """Install the handler that answers where the invalid instruction stands."""
    code = mmap.mmap(-1, len(ASK), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(ASK)
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    found = (ctypes.c_uint32 * 4)()
    ask = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)(address)

    def handler(number: int, info: int, context: int) -> None:
        registers = (ctypes.c_uint64 * 17).from_address(context + GREGS)
        if ctypes.string_at(registers[RIP], 2) != INVALID:
            signal.signal(signal.SIGILL, signal.SIG_DFL)
            return
        leaf, subleaf = registers[RAX] & 0xFFFFFFFF, registers[RCX] & 0xFFFFFFFF
        ask(leaf, subleaf, ctypes.addressof(found))
        words = masked(level, leaf, subleaf, tuple(found))
        for register, word in zip((RAX, RBX, RCX, RDX), words, strict=True):
            registers[register] = word
        registers[RIP] += len(INVALID)

    callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(handler)
    action = struct.pack('=Q128siiQ', ctypes.cast(callback, ctypes.c_void_p).value, b'',
                         SA_SIGINFO, 0, 0)  # fmt: skip
    if ctypes.CDLL(None).sigaction(signal.SIGILL, action, None) != 0:
        raise ConfigError('no handler for invalid instructions can be installed')
    _kept.extend([code, found, ask, callback])


def masked(level: str, leaf: int, subleaf: int, words: tuple[int, ...]) -> list[int]:
    """Return eax, ebx, ecx and edx of a leaf of `cpuid` without what is beyond `level`."""
    result = []
    for register, word in zip(('eax', 'ebx', 'ecx', 'edx'), words, strict=True):
        for bits in LEVELS[level]:
            for bit in bits.get((leaf, subleaf, register), ()):
                word &= ~(1 << bit)
        result.append(word)
    return result


class _Redirect(importlib.abc.MetaPathFinder):
    """Finds the changed copy of the library in place of the installed one."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != LIBRARY:
            return None
        loader = importlib.machinery.ExtensionFileLoader(name, str(self.copy))
        return importlib.util.spec_from_file_location(name, self.copy, loader=loader)


def main(argv: list[str] | None = None) -> int:
    """Command line entry: a level, then what `lightdepth` is told."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] not in LEVELS:
        print(f'{__doc__}\nlevels: {", ".join(LEVELS)}', file=sys.stderr)
        return 2
    cap(words[0])
    from lightdepth_ros import cli

    return cli.main(words[1:])


if __name__ == '__main__':
    sys.exit(main())
