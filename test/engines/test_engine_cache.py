# SPDX-License-Identifier: Apache-2.0
"""The engine cache: names, races, damage, bounds and disks that will not take it."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from lightdepth_ros import files
from lightdepth_ros.engines import cache as engine_cache
from lightdepth_ros.engines.cache import (
    EngineKey,
    cache_dir,
    discard,
    entries,
    get_or_build,
    prune,
)
from lightdepth_ros.errors import EngineError

KEY = EngineKey(
    onnx_sha256='ab' * 32,
    exit='L',
    precision='fp16',
    flavour='tensorrt_rtx',
    version='1.7.1',
    compute_capability='8.9',
    input_hw=(320, 480),
    outputs=('depth', 'label'),
)


class Build:
    """A build that counts its calls."""

    def __init__(self, data: bytes = b'engine') -> None:
        self.data, self.calls = data, 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.data


def nobody(line: str) -> None:
    pytest.fail(f'nothing should be reported here, but: {line}')


def test_folder_follows_xdg_cache_home(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert cache_dir() == tmp_path / 'lightdepth_ros'
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative/is/invalid')
    assert cache_dir() == Path.home() / '.cache' / 'lightdepth_ros'
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert cache_dir() == Path.home() / '.cache' / 'lightdepth_ros'


def test_name_shows_what_the_engine_is_for():
    name = KEY.file_name()
    for part in ('L_', '480x320', 'fp16', 'depth+label', 'tensorrt-rtx-1.7.1', 'sm89', 'ab' * 6):
        assert part in name
    assert '/' not in name
    assert len(name) < 200


@pytest.mark.parametrize(
    'change',
    [
        {'onnx_sha256': 'ab' * 6 + 'cd' * 26},
        {'exit': 'M'},
        {'precision': 'fp32'},
        {'flavour': 'tensorrt'},
        {'version': '1.7.2'},
        {'compute_capability': '12.0'},
        {'input_hw': (480, 320)},
        {'outputs': ('depth',)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_engine_for_anything_else_has_another_name_and_is_built(tmp_path, change):
    other = dataclasses.replace(KEY, **change)
    assert other.file_name() != KEY.file_name()
    get_or_build(KEY, Build(b'mine'), nobody, tmp_path)
    assert get_or_build(other, Build(b'other'), nobody, tmp_path) == b'other'
    assert get_or_build(KEY, Build(b'again'), nobody, tmp_path) == b'mine'


def test_engine_is_built_once_and_then_read(tmp_path):
    build = Build(b'engine\n\0with any bytes\n')
    for _ in range(3):
        assert get_or_build(KEY, build, nobody, tmp_path) == build.data
    assert build.calls == 1
    assert [p.name for p in tmp_path.glob('*.tmp')] == []


def test_folder_is_for_its_owner_only(tmp_path):
    folder = tmp_path / 'cache'
    get_or_build(KEY, Build(), nobody, folder)
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (lambda data: data[:-3], 'checksum'),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), 'checksum'),
        (lambda data: b'', 'no engine file'),
        (lambda data: b'lightdepth engine 0\n' + data, 'no engine file'),
        (lambda data: data.replace(b'{', b'(', 1), 'header'),
        (lambda data: data.replace(b'"version"', b'"werxion"', 1), 'header'),
        (lambda data: data.replace(b'"8.9"', b'"9.0"', 1), 'other key'),
    ],
    ids=['cut', 'bit', 'empty', 'other format', 'not json', 'other fields', 'other key'],
)
def test_damaged_or_stale_file_is_reported_and_built_again(tmp_path, damage, reason):
    path = tmp_path / KEY.file_name()
    get_or_build(KEY, Build(b'good'), nobody, tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    reports: list[str] = []
    assert get_or_build(KEY, Build(b'new'), reports.append, tmp_path) == b'new'
    assert any('cannot be used' in line and reason in line for line in reports), reports
    assert get_or_build(KEY, Build(b'never'), nobody, tmp_path) == b'new'


def test_failed_build_leaves_nothing_and_the_next_one_may_try(tmp_path):
    def fail() -> bytes:
        raise EngineError('no memory')

    with pytest.raises(EngineError, match='no memory'):
        get_or_build(KEY, fail, nobody, tmp_path)
    assert entries(tmp_path) == []
    assert get_or_build(KEY, Build(), nobody, tmp_path) == b'engine'


def slow_start(directory: Path, counter: Path, barrier, results) -> None:
    def build() -> bytes:
        with counter.open('a', encoding='utf-8') as file:
            file.write(f'{os.getpid()}\n')
        time.sleep(0.5)
        return b'built once'

    barrier.wait()
    results.put(get_or_build(KEY, build, lambda line: None, directory))


def test_processes_that_start_at_once_build_once(tmp_path):
    context = multiprocessing.get_context('fork')
    barrier, results = context.Barrier(3), context.Queue()
    counter = tmp_path / 'builds.txt'
    children = [
        context.Process(target=slow_start, args=(tmp_path / 'cache', counter, barrier, results))
        for _ in range(3)
    ]
    for child in children:
        child.start()
    found = [results.get(timeout=20) for _ in children]
    for child in children:
        child.join(timeout=20)
    assert found == [b'built once'] * 3
    assert len(counter.read_text(encoding='utf-8').splitlines()) == 1


def die_while_building(directory: Path) -> None:
    def build() -> bytes:
        os._exit(9)

    get_or_build(KEY, build, lambda line: None, directory)


def test_process_that_died_while_building_does_not_block_the_next(tmp_path):
    child = multiprocessing.get_context('fork').Process(
        target=die_while_building, args=(tmp_path,)
    )
    child.start()
    child.join(timeout=20)
    assert child.exitcode == 9
    assert get_or_build(KEY, Build(), nobody, tmp_path) == b'engine'


def test_waiting_for_another_process_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_cache, 'REPORT_S', 0.05)
    monkeypatch.setattr(engine_cache, 'POLL_S', 0.01)
    context = multiprocessing.get_context('fork')
    barrier, results = context.Barrier(2), context.Queue()
    child = context.Process(
        target=slow_start, args=(tmp_path, tmp_path / 'builds.txt', barrier, results)
    )
    child.start()
    barrier.wait()
    while not (tmp_path / 'builds.txt').exists():
        time.sleep(0.01)
    reports: list[str] = []
    assert get_or_build(KEY, Build(b'mine'), reports.append, tmp_path) == b'built once'
    child.join(timeout=20)
    assert any('waiting for another process' in line for line in reports)


def full_disk(*args: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_is_a_warning_and_the_engine_is_used_from_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_cache.os, 'fsync', full_disk)
    reports: list[str] = []
    assert get_or_build(KEY, Build(), reports.append, tmp_path) == b'engine'
    assert len(reports) == 1
    for words in ('warning', 'No space left', 'used from memory', 'XDG_CACHE_HOME'):
        assert words in reports[0]
    assert list(tmp_path.glob('*.tmp')) == []
    assert entries(tmp_path) == []


def test_cache_that_cannot_be_made_is_a_warning_and_the_engine_is_used_from_memory(tmp_path):
    (tmp_path / 'file').write_text('in the way', encoding='utf-8')
    reports: list[str] = []
    build = Build()
    assert get_or_build(KEY, build, reports.append, tmp_path / 'file' / 'cache') == b'engine'
    assert build.calls == 1
    assert 'used from memory' in reports[-1]


def test_read_only_cache_still_serves_what_it_holds(tmp_path, monkeypatch):
    get_or_build(KEY, Build(b'kept'), nobody, tmp_path)

    def read_only(*args: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(engine_cache.os, 'utime', read_only)
    assert get_or_build(KEY, Build(b'new'), nobody, tmp_path) == b'kept'


def test_prune_drops_the_least_recently_used_beyond_the_bounds(tmp_path):
    keys = [dataclasses.replace(KEY, version=str(i)) for i in range(5)]
    for age, key in enumerate(keys):
        get_or_build(key, Build(b'x' * 1000), nobody, tmp_path)
        os.utime(tmp_path / key.file_name(), (1e9 - age, 1e9 - age))
    get_or_build(keys[3], Build(), nobody, tmp_path)  # using it makes it recent
    assert prune(tmp_path, max_files=9, max_bytes=1 << 30) == []
    deleted = prune(tmp_path, max_files=3)
    assert {p.name for p in deleted} == {keys[2].file_name(), keys[4].file_name()}
    deleted = prune(tmp_path, max_bytes=3000)
    assert {p.name for p in deleted} == {keys[1].file_name()}
    assert [e.key for e in entries(tmp_path)] == [keys[3], keys[0]]


def test_building_prunes_to_the_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_cache.prune, '__defaults__', (None, 2, 1 << 30))
    for version in range(4):
        get_or_build(dataclasses.replace(KEY, version=str(version)), Build(), nobody, tmp_path)
    assert len(entries(tmp_path)) == 2


def test_prune_and_list_see_files_that_cannot_be_used(tmp_path):
    get_or_build(KEY, Build(), nobody, tmp_path)
    renamed = tmp_path / 'my_engine.engine'
    renamed.write_bytes((tmp_path / KEY.file_name()).read_bytes())
    (tmp_path / 'junk.engine').write_bytes(b'junk')
    problems = {e.path.name: e.problem for e in entries(tmp_path)}
    assert problems[KEY.file_name()] == ''
    assert 'renamed' in problems['my_engine.engine']
    assert 'no engine file' in problems['junk.engine']
    assert {p.name for p in prune(tmp_path)} == {'my_engine.engine', 'junk.engine'}


def test_prune_removes_what_a_dead_process_left_half_written(tmp_path):
    old, new = tmp_path / 'old.tmp', tmp_path / 'new.tmp'
    for path in (old, new):
        path.write_bytes(b'half')
    os.utime(old, (time.time() - 7200,) * 2)
    assert prune(tmp_path) == [old]
    assert new.exists()


def test_discard_deletes_one_engine_and_minds_no_missing_one(tmp_path):
    get_or_build(KEY, Build(), nobody, tmp_path)
    discard(KEY, tmp_path)
    discard(KEY, tmp_path)
    assert entries(tmp_path) == []


def test_list_of_a_cache_that_does_not_exist_is_empty(tmp_path):
    assert entries(tmp_path / 'nothing') == []


def test_engine_is_on_the_disk_before_the_old_file_goes(tmp_path, monkeypatch):
    get_or_build(KEY, lambda: b'old', print, tmp_path)
    path = tmp_path / KEY.file_name()
    old = path.read_bytes()
    path.write_bytes(b'damaged')
    monkeypatch.setattr(files.os, 'fsync', full_disk)
    reports = []
    assert get_or_build(KEY, lambda: b'new', reports.append, tmp_path) == b'new'
    assert 'No space' in reports[-1]
    assert path.read_bytes() == b'damaged'
    assert old != b'damaged'
    assert {p.name for p in tmp_path.iterdir()} == {path.name, 'build.lock'}


def test_cached_engine_has_the_permissions_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        get_or_build(KEY, lambda: b'engine', print, tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / KEY.file_name()).stat().st_mode & 0o777 == 0o640
