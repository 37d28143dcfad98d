# SPDX-License-Identifier: Apache-2.0
"""Keep built inference engines on disk, so that a start reads a file instead of building.

A cached engine is valid for exactly its key, which the file name spells out. The folder is private
to this user, because loading an engine can run code that it contains.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightdepth_ros.files import WriteError, write_files
from lightdepth_ros.folders import cache_home

MAGIC = b'lightdepth engine 1\n'
SUFFIX = '.engine'
MAX_FILES = 32
MAX_BYTES = 2 << 30
"""`prune` keeps the most recently used files within both bounds."""
REPORT_S = 5.0
ABANDONED_S = 3600.0
POLL_S = 0.1


@dataclass(frozen=True)
class EngineKey:
    """What a built engine is valid for.

    onnx_sha256         of the ONNX file it was built from.
    exit                the model's exit, for the reader of the file name.
    precision           key of lightdepth_ros.engines.PRECISIONS' values.
    flavour, version    the library, 'tensorrt' or 'tensorrt_rtx', and its full version.
    compute_capability  of the GPU, for example '8.9'.
    input_hw            (height, width) in pixels.
    outputs             the outputs it computes.
    """

    onnx_sha256: str
    exit: str
    precision: str
    flavour: str
    version: str
    compute_capability: str
    input_hw: tuple[int, int]
    outputs: tuple[str, ...]

    def file_name(self) -> str:
        """Return the file's name; two keys share one only if they are equal."""
        height, width = self.input_hw
        parts = (
            self.exit,
            f'{width}x{height}',
            self.precision,
            '+'.join(self.outputs),
            f'{self.flavour}-{self.version}',
            f'sm{self.compute_capability.replace(".", "")}',
            self.onnx_sha256[:12],
        )
        readable = '_'.join(re.sub(r'[^A-Za-z0-9.+-]', '-', part) for part in parts)
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:8]
        return f'{readable}_{digest}{SUFFIX}'


@dataclass(frozen=True)
class Entry:
    """One file of the cache. `key` is None, and `problem` says why, for one that cannot be used.

    used_s: time of last use, seconds since 1970.
    """

    path: Path
    size: int
    used_s: float
    key: EngineKey | None
    problem: str = ''


def cache_dir() -> Path:
    """Return $XDG_CACHE_HOME/lightdepth_ros, or ~/.cache/lightdepth_ros; it need not exist.

    A user without a home has it in /tmp: see folders.py.
    """
    return cache_home() / 'lightdepth_ros'


def get_or_build(
    key: EngineKey,
    build: Callable[[], bytes],
    report: Callable[[str], None],
    directory: Path | None = None,
) -> bytes:
    """Return the engine for `key`: from the cache, or built now and then cached.

    Processes that want an engine at the same time take turns; the second one finds the
    first one's file. A cache that cannot be used (read only, full) costs a warning through
    `report`, and the engine is used from memory. What `build` raises is passed on.
    """
    directory = cache_dir() if directory is None else directory
    path = directory / key.file_name()
    found = _read(path, key, report)
    if found is not None:
        return found
    with _turn(directory, report):
        found = _read(path, key, report)
        if found is not None:
            return found
        data = build()
        try:
            write_files({path: _header(key, data) + data}, durable=True)
            prune(directory)
        except (OSError, WriteError) as error:
            report(
                f'warning: the engine could not be cached in {directory} ({error}); it is used '
                'from memory and will be built again at the next start. Free some space, or set '
                'XDG_CACHE_HOME to a folder that can be written.'
            )
    return data


def entries(directory: Path | None = None) -> list[Entry]:
    """Return the cache's files, the most recently used first; every file is read and checked."""
    directory = cache_dir() if directory is None else directory
    found = []
    for path in directory.glob(f'*{SUFFIX}'):
        with contextlib.suppress(FileNotFoundError):  # pruned by another process meanwhile
            stat = path.stat()
            key, _, problem = _parse(path.read_bytes())
            if key is not None and key.file_name() != path.name:
                key, problem = None, 'it was renamed: its name does not say what it holds'
            found.append(Entry(path, stat.st_size, stat.st_mtime, key, problem))
    return sorted(found, key=lambda entry: -entry.used_s)


def prune(
    directory: Path | None = None, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
) -> list[Path]:
    """Delete files that cannot be used, then the least recently used beyond the bounds.

    Returns what was deleted. An engine in use stays usable: it was read into memory.
    """
    deleted = []
    files, size = 0, 0
    for entry in entries(directory):
        files += 1
        size += entry.size
        if entry.key is None or files > max_files or size > max_bytes:
            entry.path.unlink(missing_ok=True)
            deleted.append(entry.path)
            files -= 1
            size -= entry.size
    for left in (directory or cache_dir()).glob('*.tmp'):  # by a process that died while writing
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                left.unlink()
                deleted.append(left)
    return deleted


def discard(key: EngineKey, directory: Path | None = None) -> None:
    """Delete the engine of `key`, if it is cached and can be deleted."""
    with contextlib.suppress(OSError):
        ((directory or cache_dir()) / key.file_name()).unlink()


def _header(key: EngineKey, data: bytes) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    return MAGIC + json.dumps({'key': asdict(key), 'sha256': digest}).encode() + b'\n'


def _read(path: Path, key: EngineKey, report: Callable[[str], None]) -> bytes | None:
    """Return the engine in `path`, or None when it is missing or not what `key` asks for."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        report(f'warning: cannot read the cached engine {path} ({error}); building it again')
        return None
    found, data, problem = _parse(content)
    if found != key:
        report(f'warning: {path} cannot be used ({problem or "other key"}); building it again')
        return None
    with contextlib.suppress(OSError):  # a read-only cache still serves
        os.utime(path)
    return data


def _parse(content: bytes) -> tuple[EngineKey | None, bytes, str]:
    """Return (key, engine, '') or (None, b'', problem)."""
    if not content.startswith(MAGIC):
        return None, b'', 'it is no engine file of this version of lightdepth_ros'
    header, _, data = content[len(MAGIC) :].partition(b'\n')
    try:
        fields: dict[str, Any] = json.loads(header)
        if hashlib.sha256(data).hexdigest() != fields['sha256']:
            return None, b'', 'its content is damaged: the checksum differs'
        key = fields['key']
        key['input_hw'] = tuple(key['input_hw'])
        key['outputs'] = tuple(key['outputs'])
        return EngineKey(**key), data, ''
    except (ValueError, KeyError, TypeError) as error:
        return None, b'', f'its header is damaged ({error})'


@contextlib.contextmanager
def _turn(directory: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the cache's build lock; without a usable folder, hold nothing.

    One lock for all keys: two builds at once would disturb each other's timings on the GPU.
    The kernel releases it when a process dies.
    """
    handle = None
    with contextlib.suppress(OSError):  # then writing the engine will fail too, and say so
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory / 'build.lock', os.O_RDWR | os.O_CREAT, 0o600)
        _lock(handle, report)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(handle: int, report: Callable[[str], None]) -> None:
    started = told = time.monotonic()
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() - told >= REPORT_S:
                told = time.monotonic()
                waited = told - started
                report(f'waiting for another process that builds an engine, {waited:.0f} s')
            time.sleep(POLL_S)
