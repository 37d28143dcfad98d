# SPDX-License-Identifier: Apache-2.0
"""depth_node as the soak and the node benchmark run it: its engine fails on request, and the times
of every published frame are kept. Everything else is the node as installed.

Who starts it names the folder for both by the variable FOLDER_VARIABLE.
"""

from __future__ import annotations

import importlib
import importlib.util
import mmap
import os
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any

from lightdepth_ros.memory import share_one_heap

if __name__ == '__main__':
    share_one_heap()  # as scripts/depth_node does, before a library starts threads

import numpy as np

from lightdepth_ros.errors import EngineError

FOLDER_VARIABLE = 'LIGHTDEPTH_SOAK_FOLDER'
FRAME = np.dtype(
    [
        (name, '<f8')
        for name in ('number', 'at_s', 'latency_ms', 'cpu_ms', 'engine_ms', 'engine_cpu_ms')
    ]
)
"""One published frame: the camera's number; when (perf_counter); from image callback to last
publish; how much CPU time the inference thread used for it; time and CPU time, of that thread, in
the engine alone."""
ENGINES = {
    'onnxruntime': ('lightdepth_ros.engines.onnxruntime', 'OnnxRuntimeEngine'),
    'openvino': ('lightdepth_ros.engines.openvino', 'OpenVinoEngine'),
}
"""Library -> module and class of its engine."""


class EngineFaults:
    """How often the engine shall still fail, and how often it did: shared by two processes."""

    def __init__(self, folder: Path) -> None:
        path = folder / 'faults'
        if not path.exists():
            path.write_bytes(bytes(8))
        with path.open('r+b') as file:
            self._map = mmap.mmap(file.fileno(), 8)

    @property
    def raised(self) -> int:
        """How often the engine has failed on request."""
        return int.from_bytes(self._map[4:8], 'little')

    def ask(self) -> None:
        """Let the next inference fail."""
        self._map[0:4] = (1).to_bytes(4, 'little')

    def take(self) -> bool:
        """Return whether to fail now; then it was counted."""
        if self._map[0] == 0:
            return False
        self._map[0:4] = bytes(4)
        self._map[4:8] = (self.raised + 1).to_bytes(4, 'little')
        return True


class EngineTimes:
    """What the last inference took, in ms: 0 where a frame needs none. For one thread."""

    def __init__(self) -> None:
        self.wall_ms = self.cpu_ms = 0.0


def fail_on_request(engine: Any, faults: EngineFaults, times: EngineTimes) -> None:
    """Let `engine.run` raise in the inference thread, and only there, when it was asked for; what
    else it does there is timed."""
    run = engine.run

    def sometimes(self: Any, *arguments: Any, **named: Any) -> Any:
        if threading.current_thread().name != 'inference':
            return run(self, *arguments, **named)
        if faults.take():
            raise EngineError('a fault on purpose')
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        result = run(self, *arguments, **named)
        times.wall_ms = (time.perf_counter() - wall_s) * 1e3
        times.cpu_ms = (time.thread_time() - cpu_s) * 1e3
        return result

    engine.run = sometimes


def keep_times(stream: Any, file: Any, engine: EngineTimes) -> None:
    """Let `stream.process` write a FRAME for every frame it publishes."""
    process = stream.process

    def timed(self: Any, waiting: Any, pipeline: Any) -> Any:
        engine.wall_ms = engine.cpu_ms = 0.0
        started_s = time.thread_time()
        latency_ms = process(self, waiting, pipeline)
        if latency_ms is not None:
            cpu_ms = (time.thread_time() - started_s) * 1e3
            number = int(waiting.msg.header.frame_id)
            inference = (engine.wall_ms, engine.cpu_ms)
            times = (number, time.perf_counter(), latency_ms, cpu_ms, *inference)
            file.write(struct.pack('<6d', *times))
        return latency_ms

    stream.process = timed


def main() -> int:
    """Run the node with both; its exit code."""
    folder = Path(os.environ[FOLDER_VARIABLE])
    faults, times = EngineFaults(folder), EngineTimes()
    for library, (module, name) in ENGINES.items():
        if importlib.util.find_spec(library) is not None:
            fail_on_request(getattr(importlib.import_module(module), name), faults, times)
    node = importlib.import_module('lightdepth_ros.node.depth_node')
    keep_times(
        importlib.import_module('lightdepth_ros.stream.stream').Stream, _open(folder), times
    )
    code: int = node.main()
    importlib.import_module('lightdepth_ros.node.ending').leave(code)
    return code


def _open(folder: Path) -> Any:
    return (folder / 'frames').open('ab', buffering=0)  # whatever happens, what came is kept


if __name__ == '__main__':
    sys.exit(main())
