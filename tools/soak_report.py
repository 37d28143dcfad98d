# SPDX-License-Identifier: Apache-2.0
"""The soak's results: what was required and measured, as a table, as JSON and as a picture."""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightdepth_ros.files import write_files
from tools.document import markdown_rows, write_section
from tools.soak_memory import Reading, growth_mib, while_serving
from tools.soak_watch import Sample

SECTION = 'soak'
MAX_GROWTH_MIB = 5.0
JUDGED_FROM_S = 300.0
"""A shorter run cannot tell a leak from caches that are still filling, nor 99 % of few frames."""
LATENCY_FACTOR = 2.0
AFTER_BURST_S = 1.0
QUIET_CORES = 0.2
"""A machine on which other programs use more than that is not quiet: latency is not judged."""
MAX_SILENCE_S = 30.0
"""~/stats comes once a second, but not while the node configures itself."""
MAX_EXIT_S = 10.0
MAX_LOST_SHARE = 0.01
BIN_S = 10.0


@dataclass(frozen=True)
class Run:
    """Everything that a soak found. Times are perf_counter seconds.

    frames     (n,) array of soak_node.FRAME.
    freed      memory of the node itself each time it had been cleaned up.
    quiet      begin and end of the time without faults; `storm`: of the time with them.
    """

    command: str
    version: str
    machine: str
    date: str
    seconds: float
    samples: list[Sample]
    freed: list[Reading]
    frames: np.ndarray
    quiet: tuple[float, float]
    storm: tuple[float, float]
    bursts: list[tuple[float, float]]
    sent: int
    damaged: int
    camera_late_s: float
    received: int
    published: int
    not_delivered: int
    dropped: dict[str, int]
    in_work: list[int]
    seen: set[int]
    messages: int
    wrong: list[str]
    engine_faults: int
    asked: int
    answers: int
    wrong_answers: list[str]
    slowest_answer_s: float
    longest_silence_s: float
    ended_early: str
    exit_code: int | None
    exit_s: float
    tracebacks: int
    rounds: int
    counts: dict[str, int]
    facts: dict[str, str]


@dataclass(frozen=True)
class Verdict:
    """One requirement. ok None: not judged, and `measured` says why."""

    name: str
    measured: str
    required: str
    ok: bool | None


def verdicts(run: Run) -> list[Verdict]:
    """Hold a run against everything that is required."""
    return [
        _no_crash(run),
        _no_deadlock(run),
        _memory(run),
        _sum(run),
        _published(run),
        _damaged(run),
        _engine(run),
        Verdict(
            "stamps never reordered, nothing twice, stamp and size as the image's",
            f'{len(run.wrong)} of {run.messages} messages' + ''.join(f'; {w}' for w in run.wrong),
            '0',
            not run.wrong and run.messages > 0,
        ),
        _parameters(run),
        _latency(run),
    ]


def _no_crash(run: Run) -> Verdict:
    end = f'exit code {run.exit_code} {run.exit_s:.2f} s after SIGINT, {run.tracebacks} tracebacks'
    ok = not run.ended_early and run.exit_code == 0 and run.tracebacks == 0
    return Verdict(
        'no crash', run.ended_early or end, 'up to the end, exit code 0',
        ok and run.exit_s < MAX_EXIT_S,
    )  # fmt: skip


def _no_deadlock(run: Run) -> Verdict:
    measured = (
        f'{run.answers} of {run.asked} requests answered, the slowest after '
        f'{run.slowest_answer_s:.1f} s; ~/stats at most {run.longest_silence_s:.1f} s apart'
    )
    ok = run.answers == run.asked and run.longest_silence_s < MAX_SILENCE_S
    return Verdict('no deadlock', measured, f'all; below {MAX_SILENCE_S:g} s', ok)


def _memory(run: Run) -> Verdict:
    required = f'below {MAX_GROWTH_MIB:g} MiB'
    if run.seconds < JUDGED_FROM_S:
        return Verdict('no growth of memory after warm-up', 'the run is too short', required, None)
    growth, start = growth_mib(run.freed, run.samples[0].at_s, run.samples[-1].at_s)
    if math.isnan(growth):
        text = f'its models were freed only {len(run.freed)} times'
        return Verdict('no growth of memory after warm-up', text, required, None)
    text = (
        f'{growth:+.1f} MiB with its models freed, once a round ({start:.0f} MiB after the '
        'warm-up; medians)'
    )
    return Verdict('no growth of memory after warm-up', text, required, growth < MAX_GROWTH_MIB)


def _sum(run: Run) -> Verdict:
    dropped = sum(run.dropped.values())
    away = run.sent - run.received - run.not_delivered
    measured = (
        f'{run.received} received = {run.published} published + {dropped} dropped; '
        f'in work at {len(run.in_work)} moments of rest: {sum(run.in_work)}. Of {run.sent} '
        f'sent, {run.not_delivered} were lost or overtaken on the way and {away} sent while the '
        'node had not subscribed'
    )
    exact = run.received == run.published + dropped and not any(run.in_work)
    away_ok = away >= 0 and (away == 0 or len(run.in_work) > 1 or run.ended_early != '')
    return Verdict('every frame published or counted with its reason', measured, 'exact',
                   exact and away_ok)  # fmt: skip


def _published(run: Run) -> Verdict:
    """Hold the node's count against a record beside it, and against what a subscriber saw."""
    sent = {int(number) for number in run.frames['number']}
    lost = len(sent - run.seen)
    measured = (
        f'{run.published} counted by the node, {len(sent)} recorded beside it, {len(run.seen)} '
        'seen by a subscriber'
    )
    exact = run.published == run.frames.size == len(sent) > 0 and run.seen <= sent
    ok: bool | None = exact and lost == 0
    if exact and 0 < lost < MAX_LOST_SHARE * len(sent) and other_cores(run) > QUIET_CORES:
        ok = None  # the middleware keeps the newest two for a subscriber that gets no CPU
        measured += f'; arrival not judged: other programs used {other_cores(run):.1f} cores'
    return Verdict('what is counted as published was published, and has arrived', measured,
                   'equal', ok)  # fmt: skip


def _damaged(run: Run) -> Verdict:
    refused = run.dropped.get('bad_image', 0)
    missing = run.sent - run.received
    measured = (
        f'{refused} refused of {run.damaged} sent ({missing} images of any kind did not come)'
    )
    ok = run.damaged - missing <= refused <= run.damaged
    return Verdict('damaged images, and no good one, refused', measured,
                   'all that came', ok and run.damaged > 0)  # fmt: skip


def _engine(run: Run) -> Verdict:
    counted = run.dropped.get('engine_error', 0)
    measured = f'{counted} counted, {run.engine_faults} raised'
    return Verdict('engine faults counted as such', measured,
                   'equal', counted == run.engine_faults > 0)  # fmt: skip


def _parameters(run: Run) -> Verdict:
    count = run.counts.get('parameter changes asked for', 0)
    measured = f'{count - len(run.wrong_answers)} of {count}'
    measured += ''.join(f'; {answer}' for answer in run.wrong_answers[:5])
    return Verdict('right values accepted, wrong ones refused with a reason', measured, 'all',
                   not run.wrong_answers and count > 0)  # fmt: skip


def in_storm(run: Run, at_s: np.ndarray) -> np.ndarray:
    """Return which times lie among the faults, outside load bursts."""
    inside = (at_s >= run.storm[0]) & (at_s <= run.storm[1])
    for begin_s, end_s in run.bursts:
        inside &= (at_s < begin_s) | (at_s > end_s + AFTER_BURST_S)
    return inside


def latencies(run: Run, key: str) -> tuple[float, float, float]:
    """Return the median in the quiet, then median and 99th percentile among faults, in ms."""
    at_s, values = run.frames['at_s'], run.frames[key]
    quiet = values[(at_s >= run.quiet[0]) & (at_s <= run.quiet[1])]
    storm = values[in_storm(run, at_s)]
    if not quiet.size or not storm.size:
        return math.nan, math.nan, math.nan
    return float(np.median(quiet)), *(float(v) for v in np.percentile(storm, (50, 99)))


def other_cores(run: Run) -> float:
    """Return how many cores other programs used on average, outside load bursts."""
    busy = [(a, b) for a, b in zip(run.samples, run.samples[1:], strict=False)
            if in_storm(run, np.array([a.at_s, b.at_s])).all()]  # fmt: skip
    if not busy:
        return math.nan
    used = [
        (b.busy_s - a.busy_s) - (b.node_s - a.node_s) - max(0.0, b.soak_s - a.soak_s)
        for a, b in busy
    ]
    return max(0.0, sum(used) / sum(b.at_s - a.at_s for a, b in busy))


def _latency(run: Run) -> Verdict:
    quiet, _, p99 = latencies(run, 'latency_ms')
    others = other_cores(run)
    measured = f'p99 {p99:.1f} ms, quiet p50 {quiet:.1f} ms'
    ok: bool | None = bool(p99 <= LATENCY_FACTOR * quiet)
    if run.seconds < JUDGED_FROM_S:
        ok = None
        measured += '; the run is too short'
    elif not others <= QUIET_CORES:  # then the quiet time was not quiet either
        ok = None
        measured += f'; not judged: other programs used {others:.1f} cores'
    return Verdict('p99 latency outside load bursts', measured,
                   f'at most {LATENCY_FACTOR:g} times the quiet p50', ok)  # fmt: skip


def facts(run: Run) -> list[tuple[str, str]]:
    """Return what else was measured, by name."""
    first, last = run.samples[0], run.samples[-1]
    length_s = last.at_s - first.at_s
    cpu = latencies(run, 'cpu_ms')
    latency = latencies(run, 'latency_ms')
    own = [s.own_mib for s in run.samples if not math.isnan(s.own_mib)]
    growth, _ = growth_mib(while_serving(run.samples), first.at_s, last.at_s)
    grown = '' if math.isnan(growth) else f'; {growth:+.1f} MiB while it serves, by medians'
    shared = [s.shared_mib for s in run.samples if not math.isnan(s.shared_mib)]
    return [
        ('node', ', '.join(f'{name} {value}' for name, value in run.facts.items())),
        ('latency, image callback to last publish',
         f'quiet p50 {latency[0]:.1f} ms; among faults, outside bursts, p50 {latency[1]:.1f} ms, '
         f'p99 {latency[2]:.1f} ms'),
        ('CPU time of the inference thread per published frame',
         f'quiet p50 {cpu[0]:.1f} ms; among faults p50 {cpu[1]:.1f} ms, p99 {cpu[2]:.1f} ms'),
        ('CPU of the node', f'{(last.node_s - first.node_s) / length_s:.2f} cores'),
        ('CPU of the soak itself (camera, subscribers, bursts)',
         f'{max(0.0, last.soak_s - first.soak_s) / length_s:.2f} cores without bursts'),
        ('CPU of other programs, outside bursts', f'{other_cores(run):.2f} cores'),
        ('threads of the node waiting for a CPU',
         f'{(last.waited_s - first.waited_s) / length_s:.2f} s a second, all threads together'),
        ('memory of the node', f'{own[0]:.0f} MiB at first, at most {max(own):.0f} MiB{grown}'),
        ('shared memory of the DDS in it, not judged',
         f'{shared[0]:.0f} MiB at first, at most {max(shared):.0f} MiB'),
        ('the camera itself was late by at most', f'{run.camera_late_s:.2f} s'),
    ]  # fmt: skip


def markdown(run: Run, picture: str) -> str:
    """Return the report for a document. picture: file name of the chart beside it."""
    words = {True: 'yes', False: '**no**', None: 'not judged'}
    required = [[v.name, v.measured, v.required, words[v.ok]] for v in verdicts(run)]
    drops = [[reason, str(n)] for reason, n in sorted(run.dropped.items())]
    lines = [
        f'`{run.command}`, {run.seconds / 60:.1f} minutes, {run.date}, {run.version}',
        '',
        f'Machine: {run.machine}',
        '',
        *markdown_rows(['requirement', 'measured', 'required', 'met'], required),
        '',
        f'![latency and memory over time]({picture})',
        '',
        *markdown_rows(['also measured', ''], [list(fact) for fact in facts(run)]),
        '',
        *markdown_rows(['frames dropped because', 'frames'], drops),
        '',
        *markdown_rows(['fault', 'times'], [[k, str(n)] for k, n in sorted(run.counts.items())]),
    ]
    return '\n'.join(lines)


def to_json(run: Run) -> str:
    """Return everything but the single frames, which are in the picture."""
    numbers = {f.name: getattr(run, f.name) for f in dataclasses.fields(run)}
    del numbers['frames'], numbers['samples']
    numbers['freed'] = [[round(at_s - run.samples[0].at_s, 1), mib] for at_s, mib in run.freed]
    numbers['seen'] = len(run.seen)
    numbers['published_but_not_seen'] = sorted({int(n) for n in run.frames['number']} - run.seen)
    start_s = run.samples[0].at_s
    for name in ('quiet', 'storm'):
        numbers[name] = [round(t - start_s, 1) for t in numbers[name]]
    numbers['bursts'] = [[round(a - start_s, 1), round(b - start_s, 1)] for a, b in run.bursts]
    numbers['verdicts'] = [dataclasses.asdict(v) for v in verdicts(run)]
    numbers['also'] = dict(facts(run))
    numbers['over_time'] = [dict(zip(SERIES, row, strict=True)) for row in over_time(run)]
    return json.dumps(numbers, indent=1, allow_nan=False) + '\n'


SERIES = ('minute', 'latency_p50_ms', 'latency_p99_ms', 'own_mib')


def over_time(run: Run) -> list[tuple[float, float | None, float | None, float | None]]:
    """Return SERIES for each ten seconds; None where nothing was published."""
    start_s = run.samples[0].at_s
    rows = []
    for number in range(math.ceil((run.samples[-1].at_s - start_s) / BIN_S)):
        begin_s = start_s + number * BIN_S
        here = (run.frames['at_s'] >= begin_s) & (run.frames['at_s'] < begin_s + BIN_S)
        values = run.frames['latency_ms'][here]
        own = [s.own_mib for s in run.samples if begin_s <= s.at_s < begin_s + BIN_S]
        p50, p99 = np.percentile(values, (50, 99)) if values.size else (math.nan, math.nan)
        memory = float(np.median(own)) if own else math.nan
        numbers = (None if math.isnan(v) else round(float(v), 2) for v in (p50, p99, memory))
        rows.append((round((begin_s - start_s) / 60, 3), *numbers))
    return rows


def write(run: Run, document: Path) -> None:
    """Fill the section of `document`; the JSON and the chart (SVG) get its name."""
    picture = document.with_suffix('.svg')
    write_files({document.with_suffix('.json'): to_json(run).encode(), picture: chart(run)})
    write_section(document, SECTION, markdown(run, picture.name))


def chart(run: Run) -> bytes:
    """Draw latency and memory over time; load bursts are grey. Needs matplotlib."""
    figure_module: Any = importlib.import_module('matplotlib.figure')
    figure = figure_module.Figure(figsize=(10, 5), layout='constrained')
    above, below = figure.subplots(2, 1, sharex=True)
    rows = over_time(run)
    minutes = [row[0] for row in rows]
    for column, color in ((2, '#d1495b'), (1, '#1b4965')):
        above.plot(minutes, _plain(rows, column), color=color, label=SERIES[column], lw=1)
    above.set_yscale('log')
    above.set_ylabel('image callback to\nlast publish, ms')
    above.legend(frameon=False)
    start_s = run.samples[0].at_s
    for begin_s, end_s in run.bursts:
        for axes in (above, below):
            axes.axvspan((begin_s - start_s) / 60, (end_s - start_s) / 60, color='#dddddd')
    below.plot(minutes, _plain(rows, 3), color='#1b4965', lw=1)
    below.set_ylabel('memory of the node, MiB')
    below.set_ylim(bottom=0)
    below.set_xlabel('minutes (grey: CPU load bursts)')
    for axes in (above, below):
        axes.spines[['top', 'right']].set_visible(False)
    data = io.BytesIO()
    figure.savefig(data, format='svg', metadata={'Date': None})
    return data.getvalue()


def _plain(rows: Sequence[tuple[float | None, ...]], column: int) -> list[float]:
    values = [row[column] for row in rows]
    return [math.nan if value is None else value for value in values]


def text(run: Run) -> str:
    """Return the verdicts and facts as lines for a terminal or a test's output."""
    words: Mapping[bool | None, str] = {True: 'ok  ', False: 'FAIL', None: '-   '}
    lines = [
        f'{words[v.ok]} {v.name}: {v.measured} (required: {v.required})' for v in verdicts(run)
    ]
    return '\n'.join([*lines, *(f'     {name}: {value}' for name, value in facts(run))])
