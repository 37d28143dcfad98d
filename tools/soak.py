# SPDX-License-Identifier: Apache-2.0
"""Does its worst to the node for half an hour and measures whether a robot could depend on it.

A camera of 640x480 at 30 Hz stops and returns, 1 in 50 of its images is damaged in one of 12 ways,
its calibration flips, 100 parameter changes a minute come, subscribers come and go, load bursts
take the CPU, the engine fails, its cache is deleted and the node configured anew, the clock jumps.

    make soak                               # 30 minutes (LIGHTDEPTH_SOAK_S=120: two)
    make soak REPORT=docs/reliability.md    # and write the report there

Exit code 0: everything that is required was met.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from lightdepth_ros import terminal
from lightdepth_ros.errors import LightdepthError
from tools import soak_report
from tools.document import markers
from tools.ros_env import ROOT, claim_domain_id, ros_environment
from tools.soak_camera import CameraDriver
from tools.soak_node import FOLDER_VARIABLE, FRAME, EngineFaults
from tools.soak_operator import EVERY, HISTORY, OUTPUT_TYPES, PATIENCE_S, Operator, SoakError
from tools.soak_report import Run
from tools.soak_script import FaultScript
from tools.soak_watch import Sample, Watch, memory_mib, sample

DEFAULT_S = 1800.0
QUIET_SHARE, QUIET_S = 0.15, 60.0
"""The run begins with the shorter of the two without faults, to compare with."""
CALM_S = 3.0
"""After the faults the node must serve as at first for so long."""
GAP_S = 4.0
Tell = Callable[[float], None]


class SoakNode:
    """The node under test as a process; its log and caches lie in `folder`."""

    def __init__(
        self, folder: Path, env: Mapping[str, str], parameters: Mapping[str, str]
    ) -> None:
        self.cache = folder / 'cache' / 'lightdepth_ros'
        self._log = folder / 'node.log'
        self._file = self._log.open('wb')
        given = {
            'use_sim_time': 'true',
            'camera_info_timeout_s': '0.5',
            # It counts what arrives: a load burst must not overwrite what is still on its way.
            f'qos_overrides./{EVERY}.publisher.depth': str(HISTORY),
            **parameters,
        }
        arguments = [part for name, value in given.items() for part in ('-p', f'{name}:={value}')]
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'tools.soak_node', '--ros-args', *arguments],
            cwd=ROOT,
            env={**env, FOLDER_VARIABLE: str(folder), 'XDG_CACHE_HOME': str(folder / 'cache')},
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    @property
    def log(self) -> str:
        """Everything it has printed."""
        return self._log.read_text(encoding='utf-8', errors='replace')

    def check(self) -> None:
        """Raise SoakError if it has ended."""
        code = self.process.poll()
        if code is not None:
            raise SoakError(f'the node ended by itself with code {code}')

    def stop(self) -> tuple[int | None, float]:
        """Interrupt it; return its exit code (None: it had to be killed) and how long it took."""
        started_s = time.perf_counter()
        self.process.send_signal(signal.SIGINT)
        try:
            code: int | None = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            code = None
        return code, time.perf_counter() - started_s

    def close(self) -> None:
        """Kill it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._file.close()


class Soak:
    """One soak: `run` plays it, `result` says what came out."""

    def __init__(
        self, seconds: float, seed: int, node: SoakNode, folder: Path, tell: Tell
    ) -> None:
        self._seconds, self._folder, self._tell = seconds, folder, tell
        self._node = node
        self._camera = CameraDriver(seed)
        self._watch = Watch(self._camera.sent, self._camera.damaged, EVERY)
        self._operator = Operator(self._watch.hear)
        self._faults = EngineFaults(folder)
        gap_s = min(GAP_S, seconds / 100)
        self._script = FaultScript(
            self._camera, self._operator, self._watch, self._faults, node.cache,
            memory_mib=lambda: memory_mib(node.process.pid)[0], seed=seed, gap_s=gap_s,
        )  # fmt: skip
        self._samples: list[Sample] = []
        self._begun_s = time.perf_counter()
        self._quiet = self._storm = (self._begun_s, self._begun_s)
        self._facts: dict[str, str] = {}
        self._ended_early = ''
        self._exit: tuple[int | None, float] = (None, 0.0)

    def run(self) -> None:
        """Play it from start to end; what the node fails at is kept for `result`."""
        try:
            self._play()
        except SoakError as error:
            self._ended_early = str(error)
        finally:
            self._script.close()
            self._camera.close()
            self._operator.close()

    def result(self, command: str) -> Run:
        """Return what came out. command: how the soak was started."""
        totals, camera, operator = self._script.totals, self._camera, self._operator
        frames = self._folder / 'frames'
        return Run(
            command=command,
            version=version(),
            machine=machine(),
            date=datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%d %H:%M UTC'),
            seconds=time.perf_counter() - self._begun_s,
            samples=self._samples,
            freed=self._script.freed,
            frames=np.fromfile(frames, FRAME) if frames.exists() else np.empty(0, FRAME),
            quiet=self._quiet,
            storm=self._storm,
            bursts=self._script.bursts,
            sent=len(camera.sent),
            damaged=len(camera.damaged),
            camera_late_s=camera.latest_s,
            received=totals.received,
            published=totals.published,
            not_delivered=totals.not_delivered,
            dropped=dict(totals.dropped),
            in_work=totals.in_work,
            seen=self._watch.seen,
            messages=self._watch.messages,
            wrong=self._watch.wrong,
            engine_faults=self._faults.raised,
            asked=operator.asked,
            answers=operator.answers,
            wrong_answers=operator.wrong_answers,
            slowest_answer_s=operator.slowest_answer_s,
            longest_silence_s=operator.longest_silence_s,
            ended_early=self._ended_early,
            exit_code=self._exit[0],
            exit_s=self._exit[1],
            tracebacks=self._node.log.count('Traceback'),
            rounds=self._script.rounds,
            counts=dict(self._script.counts + camera.counts),
            facts=self._facts,
        )

    def _play(self) -> None:
        self._start()
        quiet_s = min(QUIET_S, QUIET_SHARE * self._seconds)
        self._camera.paused = False
        self._go_on(CALM_S)
        self._quiet = self._go_on(quiet_s)
        names = ('model', 'backend', 'precision', 'device', 'input')
        self._facts = {name: self._operator.stats[name] for name in names}
        self._camera.faults = True
        self._storm = self._go_on(
            self._seconds - quiet_s, self._script.step, lambda: self._script.rounds > 0
        )
        self._script.settle()
        before = self._watch.published
        self._go_on(CALM_S)
        if self._watch.published == before:
            raise SoakError('nothing is published once the faults have ended')
        self._script.rest()
        self._exit = self._node.stop()

    def _start(self) -> None:
        operator = self._operator
        operator.wait(lambda: operator.ready and self._check(), 'the services of the node')
        for topic in OUTPUT_TYPES:
            operator.listen(topic)
        self._camera.start()
        operator.wait(lambda: self._camera.subscribed and self._check(), 'the node to subscribe')
        operator.wait(lambda: self._heard(), 'all subscribers in ~/stats')
        operator.spin(1.0)

    def _heard(self) -> bool:
        self._check()
        told = self._operator.stats.get('subscribers', {})
        return bool(told) and all(told.values()) and self._operator.matched

    def _check(self) -> bool:
        self._node.check()
        return True

    def _go_on(
        self,
        seconds: float,
        step: Callable[[], Any] = lambda: None,
        enough: Callable[[], bool] = lambda: True,
    ) -> tuple[float, float]:
        """Let time pass, and longer until there is enough; return its begin and end.

        Measures once a second.
        """
        begin_s = time.perf_counter()
        while (now_s := time.perf_counter()) < begin_s + seconds or not enough():
            self._check()
            if not self._samples or now_s - self._samples[-1].at_s >= 1:
                self._samples.append(sample(self._node.process.pid, self._script.pids))
                self._tell(now_s - self._begun_s)
            self._operator.spin(0.01)
            step()
        return begin_s, time.perf_counter()


def soak(
    seconds: float,
    *,
    parameters: Mapping[str, str],
    command: str,
    seed: int = 0,
    tell: Tell = lambda seconds: None,
    folder: Path | None = None,
) -> Run:
    """Soak the node for so long and return what came out.

    parameters: of the node. folder: for its log and caches; None = a temporary one. The process
    must be in the ROS domain it wants (ros_environment).
    """
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        node = SoakNode(place, os.environ, parameters)
        try:
            one = Soak(seconds, seed, node, place, tell)
            one.run()
            return one.result(command)
        finally:
            node.close()


def version() -> str:
    """Return the commit that was soaked, if that is known."""
    git = ['git', '-C', str(ROOT), 'describe', '--always', '--dirty', '--abbrev=9']
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    given = os.environ.get('LIGHTDEPTH_COMMIT', '')  # of a copy without its history
    commit = given or (done.stdout.strip() if done.returncode == 0 else 'unknown')
    return f'commit {commit}'


def machine() -> str:
    """Return the machine in words."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text(encoding='utf-8').splitlines() if info.exists() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    name = names[0] if names else platform.processor()
    python = platform.python_version()
    return f'{name}, {os.cpu_count()} cores, {platform.system()}, Python {python}'


def main() -> int:
    """Soak as the flags say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default_s = float(os.environ.get('LIGHTDEPTH_SOAK_S', DEFAULT_S))
    parser.add_argument('--seconds', type=float, default=default_s,
                        help=f'how long (LIGHTDEPTH_SOAK_S, else {DEFAULT_S:g})')  # fmt: skip
    parser.add_argument('--seed', type=int, default=0, help='of the fault script')
    parser.add_argument('--backend', default='auto', help="the node's backend (auto uses a cache)")
    parser.add_argument('--report', type=Path, metavar='DOC.md',
                        help='fill the soak section of this document; DOC.json and DOC.svg are '
                        'written beside it')  # fmt: skip
    parser.add_argument('--log', type=Path, metavar='FOLDER', help="keep the node's log here")
    args = parser.parse_args()
    console = Console(highlight=False)
    if args.report and markers(soak_report.SECTION)[0] not in args.report.read_text('utf-8'):
        parser.error(f'{args.report} lacks the line {markers(soak_report.SECTION)[0]}')
    if args.log:
        args.log.mkdir(parents=True)
    os.environ.update(ros_environment(os.environ, domain_id=claim_domain_id()))
    with Progress(console=console) as progress:
        task = progress.add_task('soaking', total=args.seconds)
        run = soak(
            args.seconds,
            parameters={'backend': args.backend},
            command=f'python -m tools.soak --seconds {args.seconds:g} --seed {args.seed} '
            f'--backend {args.backend}',
            seed=args.seed,
            tell=lambda seconds: progress.update(task, completed=seconds),
            folder=args.log,
        )
    console.print(soak_report.text(run), markup=False)
    try:
        if args.report:
            soak_report.write(run, args.report)
    except (LightdepthError, ImportError, OSError) as error:
        console.print(f'no report: {error}', markup=False)
        return 2
    return int(any(v.ok is False for v in soak_report.verdicts(run)))


if __name__ == '__main__':
    sys.exit(terminal.run(main))
