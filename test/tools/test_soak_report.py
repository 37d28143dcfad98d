# SPDX-License-Identifier: Apache-2.0
"""The soak's judgement can fail: each fault of a node makes exactly its own requirement fail."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from tools.document import markers
from tools.soak_memory import growth_mib, while_serving
from tools.soak_node import FRAME, EngineFaults
from tools.soak_report import (
    SECTION,
    Run,
    latencies,
    other_cores,
    to_json,
    verdicts,
    write,
)
from tools.soak_watch import Sample, Totals, Watch

LENGTH_S = 1000
FRAMES = 30 * LENGTH_S
BURST = (500.0, 503.0)


def samples(growth_mib: float = 0.0, others: float = 0.0) -> list[Sample]:
    """One a second: memory settles in the first 50 s, then grows in a straight line."""
    return [
        Sample(
            at_s=float(t),
            own_mib=300.0 + min(t, 50) + growth_mib * t / LENGTH_S,
            shared_mib=40.0 + 0.1 * t,
            node_s=0.2 * t,
            soak_s=0.1 * t,
            busy_s=(0.3 + others) * t,
            waited_s=0.01 * t,
        )
        for t in range(LENGTH_S + 1)
    ]


def freed(growth_mib: float = 0.0) -> list[tuple[float, float]]:
    """One a minute, with the noise of a heap."""
    times = np.arange(60.0, LENGTH_S, 60.0)
    return [(float(t), 200.0 + i % 3 + growth_mib * t / LENGTH_S) for i, t in enumerate(times)]


def frames(storm_ms: float = 15.0) -> np.ndarray:
    """30 a second: 10 ms in the quiet and 98 % of those in the storm, a second in bursts."""
    made = np.zeros(FRAMES, FRAME)
    made['number'] = np.arange(made.size)
    made['at_s'] = made['number'] / 30
    made['latency_ms'] = made['cpu_ms'] = 10.0
    made['latency_ms'][(made['at_s'] > 60) & (made['number'] % 50 == 0)] = storm_ms
    made['latency_ms'][(made['at_s'] > BURST[0]) & (made['at_s'] < BURST[1] + 0.5)] = 1000.0
    return made


def good(**changes) -> Run:
    """A run in which all is met, with changes."""
    run = Run(
        command='python -m tools.soak', version='commit 1', machine='a CPU', date='2026-01-01',
        seconds=float(LENGTH_S), samples=samples(), freed=freed(), frames=frames(),
        quiet=(3.0, 60.0), storm=(60.0, 990.0), bursts=[BURST], sent=FRAMES + 300, damaged=20,
        camera_late_s=0.01,
        received=FRAMES + 200, published=FRAMES, not_delivered=10,
        dropped={'bad_image': 18, 'engine_error': 7, 'replaced_by_newer': 175}, in_work=[0, 0],
        seen=set(range(FRAMES)), messages=7000, wrong=[], engine_faults=7, asked=50, answers=50,
        wrong_answers=[], slowest_answer_s=0.1, longest_silence_s=1.2, ended_early='',
        exit_code=0, exit_s=0.3, tracebacks=0, rounds=2,
        counts={'parameter changes asked for': 40}, facts={'backend': 'onnxruntime'},
    )  # fmt: skip
    return dataclasses.replace(run, **changes)


def failed(run: Run) -> list[str]:
    return [verdict.name for verdict in verdicts(run) if verdict.ok is False]


def test_a_good_run_meets_everything():
    assert [verdict.ok for verdict in verdicts(good())] == [True] * 10


@pytest.mark.parametrize(
    ('changes', 'name'),
    [
        ({'exit_code': -11}, 'no crash'),
        ({'exit_code': None}, 'no crash'),
        ({'tracebacks': 1}, 'no crash'),
        ({'ended_early': 'the node ended by itself with code 1'}, 'no crash'),
        ({'answers': 49}, 'no deadlock'),
        ({'longest_silence_s': 45.0}, 'no deadlock'),
        ({'freed': freed(growth_mib=8.0)}, 'no growth of memory after warm-up'),
        ({'in_work': [0, 1]}, 'every frame published or counted with its reason'),
        ({'sent': FRAMES + 205}, 'every frame published or counted with its reason'),
        ({'seen': set(range(1, FRAMES))}, 'what is counted as published was published'),
        ({'seen': set(range(FRAMES + 1))}, 'what is counted as published was published'),
        ({'published': FRAMES - 1, 'received': FRAMES + 199}, 'what is counted as published was'),
        ({'damaged': 17}, 'damaged images, and no good one, refused'),
        ({'damaged': 300}, 'damaged images, and no good one, refused'),
        ({'engine_faults': 8}, 'engine faults counted as such'),
        ({'wrong': ['points: image 7 came after 8']}, 'stamps never reordered, nothing twice'),
        ({'wrong_answers': ['fit=x: True']}, 'right values accepted, wrong ones refused'),
        ({'frames': frames(storm_ms=25.0)}, 'p99 latency outside load bursts'),
    ],
)
def test_each_fault_fails_its_own_requirement(changes, name):
    found = failed(good(**changes))
    assert len(found) == 1
    assert found[0].startswith(name)


def test_a_frame_without_a_reason_is_found():
    assert failed(good(received=FRAMES + 201)) == [
        'every frame published or counted with its reason'
    ]


def test_what_a_starved_subscriber_missed_is_told_but_not_held_against_the_node():
    busy = good(samples=samples(others=1.5), seen=set(range(5, FRAMES)))
    verdict = next(v for v in verdicts(busy) if v.name.startswith('what is counted'))
    assert verdict.ok is None
    assert '29995 seen by a subscriber; arrival not judged' in verdict.measured
    lost_many = dataclasses.replace(busy, seen=set(range(1000, FRAMES)))
    assert failed(lost_many) == ['what is counted as published was published, and has arrived']


def test_growth_is_measured_after_the_warm_up():
    serving = while_serving(samples(growth_mib=10.0))
    growth, start = growth_mib(serving, 0.0, float(LENGTH_S))
    assert growth == pytest.approx(7.05, abs=0.05)  # medians of 120..296 s and 824..1000 s
    assert start == pytest.approx(352.1, abs=0.05)


def test_memory_is_not_judged_by_a_few_rounds():
    verdict = verdicts(good(freed=freed(growth_mib=50.0)[:5]))[2]
    assert (verdict.ok, verdict.measured) == (None, 'its models were freed only 5 times')


def test_bursts_do_not_count_for_latency_and_a_busy_machine_is_not_judged():
    quiet, p50, p99 = latencies(good(), 'latency_ms')
    assert (quiet, p50, p99) == (10.0, 10.0, 15.0)
    busy = good(samples=samples(others=1.5), frames=frames(storm_ms=99.0))
    assert other_cores(busy) == pytest.approx(1.5, abs=0.01)
    assert verdicts(busy)[-1].ok is None
    assert 'other programs used 1.5 cores' in verdicts(busy)[-1].measured


def test_a_short_run_says_that_it_judges_neither_memory_nor_latency():
    short = good(seconds=30.0, freed=freed(growth_mib=50.0), frames=frames(99.0))
    assert [v.name for v in verdicts(short) if v.ok is None] == [
        'no growth of memory after warm-up',
        'p99 latency outside load bursts',
    ]


def test_the_report_fills_its_section_and_says_what_failed(tmp_path):
    pytest.importorskip('matplotlib')
    document = tmp_path / 'reliability.md'
    begin, end = markers(SECTION)
    document.write_text(f'before\n{begin}\n{end}\nafter\n', encoding='utf-8')
    bad = good(seen=set(range(1, FRAMES)))
    write(bad, document)
    text = document.read_text(encoding='utf-8')
    assert text.startswith('before\n')
    assert text.endswith('after\n')
    assert '30000 recorded beside it, 29999 seen by a subscriber | equal | **no** |' in text
    numbers = json.loads((tmp_path / 'reliability.json').read_text(encoding='utf-8'))
    assert numbers == json.loads(to_json(bad))
    assert numbers['published_but_not_seen'] == [0]
    assert numbers['over_time'][0]['latency_p50_ms'] == 10.0
    assert b'<svg' in (tmp_path / 'reliability.svg').read_bytes()


def message(number: int, stamp_ns: int, size: tuple[int, int] = (160, 240)) -> SimpleNamespace:
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    header = SimpleNamespace(frame_id=str(number), stamp=stamp)
    return SimpleNamespace(header=header, height=size[0], width=size[1])


def test_watch_finds_what_must_not_be():
    watch = Watch(sent=[5, 10**10, 7, 9], damaged={3}, every='depth/camera_info')
    watch.hear('points', message(0, 5))
    watch.hear('depth/camera_info', message(0, 5))
    watch.hear('depth/camera_info', message(1, 10**10))
    watch.hear('points', message(2, 7))  # earlier by its stamp, but that is how it was sent
    assert (watch.published, watch.messages, watch.wrong) == (2, 4, [])
    watch.hear('points', message(2, 7))
    watch.hear('depth/image', message(1, 11))
    watch.hear('depth/image', message(3, 9))
    watch.hear('depth/image_mm', message(2, 7, size=(80, 120)))
    assert [text.partition(':')[0] for text in watch.wrong] == [
        'points', 'depth/image', 'depth/image', 'depth/image_mm',
    ]  # fmt: skip
    assert [w for w in watch.wrong if 'another stamp' in w or 'a damaged one' in w] == [
        'depth/image: image 1 came back with another stamp',
        'depth/image: image 3, a damaged one, was published',
    ]


def test_counters_of_several_lives_add_up():
    totals = Totals()
    life = {'received': 5, 'published': 3, 'not_delivered': 1, 'in_work': 0,
            'dropped': {'bad_image': 2}}  # fmt: skip
    totals.add(life)
    totals.add({**life, 'in_work': 1, 'dropped': {'bad_image': 1, 'rate_limit': 1}})
    assert (totals.received, totals.published, totals.not_delivered) == (10, 6, 2)
    assert totals.dropped == {'bad_image': 3, 'rate_limit': 1}
    assert totals.in_work == [0, 1]


def test_an_engine_fault_is_taken_once_and_seen_by_the_other_process(tmp_path):
    asking, failing = EngineFaults(tmp_path), EngineFaults(tmp_path)
    assert not failing.take()
    asking.ask()
    assert (failing.take(), failing.take()) == (True, False)
    assert asking.raised == 1
