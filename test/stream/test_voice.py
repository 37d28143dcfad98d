# SPDX-License-Identifier: Apache-2.0
"""A broken camera cannot flood the log."""

import pytest

from lightdepth_ros.stream import voice
from lightdepth_ros.stream.voice import SOME_KEYS, Voice


class Clock:
    """Stands for the time module."""

    now_s = 0.0

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch) -> Clock:
    result = Clock()
    monkeypatch.setattr(voice, 'time', result)
    return result


def test_errors_come_once_a_second_and_the_rest_is_counted(clock):
    said: list[str] = []
    log = Voice(said.append, said.append)
    for i in range(25):
        clock.now_s = i * 0.1
        log.error(f'error {i}')
    assert said == [
        'error 0',
        'error 10 (9 more errors since the last message)',
        'error 20 (9 more errors since the last message)',
    ]
    assert log.last_error == 'error 24'


def test_a_warning_comes_once_for_each_key():
    said: list[str] = []
    log = Voice(said.append, said.append)
    for key in ('a', 'b', 'a'):
        log.warn_once(key, f'warning {key}')
    assert said == ['warning a', 'warning b']


def test_ever_new_warnings_end_somewhere():
    said: list[str] = []
    log = Voice(said.append, said.append)
    for i in range(2 * SOME_KEYS):
        log.warn_once(str(i), 'x')
    assert len(said) == SOME_KEYS
