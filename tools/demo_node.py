# SPDX-License-Identifier: Apache-2.0
"""The installed depth_node as a process of its own: start, watch, interrupt."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tools.ros_env import node_executable

LOG_LINES = 15
STOP_TIMEOUT_S = 10.0


class DemoError(Exception):
    """The demo cannot continue; the message says why and what to do."""


class NodeProcess:
    """A running depth_node whose output goes to `log`. Use it as a context manager."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        """Start it. Raises DemoError if the package is not installed."""
        executable = node_executable()
        if not executable.is_file():
            raise DemoError(f'{executable} is not there: install the package with `make install`')
        self.log = log
        self._file = log.open('wb')
        self._process = subprocess.Popen(
            [str(executable), *arguments],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._file.close()

    def check(self) -> None:
        """Raise DemoError, with the end of its output, if the node has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(f'depth_node ended with code {code}; its last words:\n{self.tail}')

    def stop(self) -> int:
        """Interrupt it as Ctrl-C would and return its exit code. DemoError if it does not end."""
        self.check()
        self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise DemoError(f'{STOP_TIMEOUT_S:g} s after SIGINT depth_node still runs') from error

    @property
    def facts(self) -> list[str]:
        """Its own words on the model and the engine that serve, without time and logger."""
        lines = self.log.read_text(encoding='utf-8', errors='replace').splitlines()
        texts = [line.rpartition(']: ')[2] for line in lines if line.startswith('[INFO]')]
        return [text for text in texts if text.startswith('ready: ') or ' serves' in text]

    @property
    def tail(self) -> str:
        """The last lines of its output."""
        lines = self.log.read_text(encoding='utf-8', errors='replace').splitlines()
        return '\n'.join(f'  {line}' for line in lines[-LOG_LINES:])
