# SPDX-License-Identifier: Apache-2.0
"""The newest frame of each camera reaches the worker; nothing queues, nobody starves."""

import threading
import time

import pytest

from lightdepth_ros.stream.latest import Latest
from lightdepth_ros.stream.worker import Worker, call_in_thread


def test_newer_item_replaces_the_one_that_waits_and_says_so():
    latest: Latest[str] = Latest(1)
    assert latest.put(0, 'old') is None
    assert latest.put(0, 'new') == 'old'
    assert latest.take(0) == (0, 'new')
    assert latest.take(0) is None


def test_sources_are_served_in_turn():
    latest: Latest[str] = Latest(3)
    for source in (0, 1, 2):
        latest.put(source, 'first')
    order = []
    for _ in range(5):
        source, _item = latest.take(0)
        order.append(source)
        latest.put(0, 'a fast camera')
    assert order == [0, 1, 2, 0, 0]


def test_close_returns_what_waited_and_wakes_the_taker():
    latest: Latest[str] = Latest(2)
    results = []
    taker = threading.Thread(target=lambda: results.append(latest.take()))
    taker.start()
    assert latest.close() == []
    taker.join(10)
    assert results == [None]
    other: Latest[str] = Latest(2)
    other.put(1, 'left')
    assert other.close() == [(1, 'left')]
    assert other.take(0) is None


def test_every_item_is_taken_or_replaced_under_contention():
    latest: Latest[int] = Latest(2)
    taken: list[int] = []
    replaced: list[int] = []

    def produce(source: int) -> None:
        for i in range(2000):
            old = latest.put(source, i)
            if old is not None:
                replaced.append(old)

    def consume() -> None:
        while (item := latest.take()) is not None:
            taken.append(item[1])

    consumer = threading.Thread(target=consume)
    consumer.start()
    producers = [threading.Thread(target=produce, args=(s,)) for s in (0, 1)]
    for thread in producers:
        thread.start()
    for thread in producers:
        thread.join()
    left = latest.close()
    consumer.join(10)
    assert len(taken) + len(replaced) + len(left) == 4000


def test_worker_finishes_the_item_in_work_and_returns_the_rest():
    begun, go_on = threading.Event(), threading.Event()
    done = []

    def process(source: int, item: str) -> None:
        begun.set()
        go_on.wait(10)
        done.append((source, item))

    worker = Worker(2, process)
    worker.inbox.put(0, 'in work')
    assert begun.wait(10)
    worker.inbox.put(1, 'waiting')
    threading.Timer(0.05, go_on.set).start()
    assert worker.stop() == [(1, 'waiting')]
    assert done == [(0, 'in work')]
    assert not worker.alive


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_worker_that_met_an_unforeseen_error_is_not_alive():
    def process(source: int, item: str) -> None:
        raise ZeroDivisionError

    worker = Worker(1, process)
    worker.inbox.put(0, 'x')
    deadline_s = time.monotonic() + 10
    while worker.alive and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not worker.alive


def test_call_in_thread_returns_raises_and_gives_up():
    assert call_in_thread(lambda: 3, lambda: True) == 3
    with pytest.raises(KeyError):
        call_in_thread(lambda: {}['x'], lambda: True)
    release = threading.Event()
    assert call_in_thread(lambda: release.wait(10), lambda: False) is None
    release.set()
