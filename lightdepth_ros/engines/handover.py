# SPDX-License-Identifier: Apache-2.0
"""Serve frames with ONNX Runtime while an engine that starts slowly is built and checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lightdepth_ros import memory
from lightdepth_ros.contract import load_contract
from lightdepth_ros.engines import (
    BUILDING,
    OUTPUTS,
    READY,
    REFUSED,
    Engine,
    EngineRequest,
    Report,
    check_inputs,
    load_engine,
    probe,
    unknown_ground,
)
from lightdepth_ros.engines.checked import load_checked, load_reference
from lightdepth_ros.engines.golden import REFERENCE, Verdict
from lightdepth_ros.errors import EngineError, LightdepthError

PATIENCE_S = 3.0
"""Most engines are ready by then; for the others the caller does not wait."""
REPORT_S = 5.0
"""At least so often the log and the diagnostics hear of an engine that is being made."""
KEPT_SIZES = 4
"""Engines kept where each holds for one image size; the oldest goes first."""

Size = tuple[int, int]
"""(height, width) of a network input in pixels."""
Make = Callable[[Size, Report], tuple[Engine, Verdict]]
"""Makes an engine for images of a size and checks it; may take minutes."""

_builds = threading.Lock()
"""Held while an engine is made: two at once would spoil each other's timings."""


def serving_engine(request: EngineRequest) -> Engine:
    """Return an engine that may serve a robot: ready at once, checked on the golden frame.

    ONNX Runtime, the reference, is returned as it is; anything else as a HandoverEngine. Raises
    ContractError or EngineError, at once, for what cannot work at all: a backend that was named
    but lacks its libraries or its GPU is an error that names the remedy; there is no fallback.
    """
    input_hw = request.input_hw or load_contract(request.contract_path).input_hw
    if request.backend == REFERENCE:
        engine = load_engine(request)
        warm_up(engine, input_hw)
        return engine
    if request.backend != 'auto':
        probe(request.backend, request.precision)

    def stand_in() -> Engine:
        return load_reference(request)

    def make(hw: Size, report: Report) -> tuple[Engine, Verdict]:
        return load_checked(replace(request, input_hw=hw, report=report))

    return HandoverEngine(f'backend {request.backend}', stand_in, make, input_hw, request.tell)


def warm_up(engine: Engine, input_hw: Size) -> None:
    """Run the engine once for each set of outputs that topics ask for.

    Engines prepare themselves for a set of outputs when it is first asked for, which would make
    a frame late.
    """
    blank = np.zeros((1, *input_hw, 3), np.uint8)
    ground = unknown_ground(engine.contract, input_hw)
    for outputs in (OUTPUTS, OUTPUTS[:2], OUTPUTS[1:2]):
        engine.run(blank, outputs, ground)


class HandoverEngine:
    """An Engine: a stand-in first, then the wanted one once it is built and has passed its check.

    The change happens between two calls of `run`. Where the wanted engine holds for one image
    size only (`one_size`), an image of another size is served by the
    stand-in again until the engine for that size is made. One that was refused is not tried
    again. Thread safe: runs take turns.

    state, text  BUILDING, READY, or REFUSED (the stand-in keeps serving): for the diagnostics.
    backend, device, precision  of the engine that serves now.
    """

    one_size = False

    def __init__(
        self, name: str, stand_in: Callable[[], Engine], make: Make, input_hw: Size, report: Report
    ) -> None:
        """Load the stand-in and begin to make the wanted engine, `name`, in the background.

        The stand-in is warmed up here only. Where it is loaded again, for an image of another
        size, a frame waits: it prepares what that frame asks for and nothing else.
        """
        self._name = name
        self._load_stand_in = stand_in
        self._make = make
        self._report = report
        self._stand_in: Engine | None = stand_in()
        warm_up(self._stand_in, input_hw)
        self._ready: dict[Size | None, Engine] = {}
        self._closed = False
        self._turn = threading.Lock()
        self._settled = threading.Event()
        self._until_s = time.monotonic() + PATIENCE_S
        self.contract = self._stand_in.contract
        self._show(self._stand_in)
        self.state = self.text = ''
        self._begin(input_hw)

    @property
    def patience_left_s(self) -> float:
        """Seconds that a caller who is not in a hurry should still `wait`; 0 = no longer."""
        return 0.0 if self._settled.is_set() else max(0.0, self._until_s - time.monotonic())

    def run(
        self,
        image: np.ndarray,
        outputs: Sequence[str] = OUTPUTS,
        ground: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """See Engine.run."""
        check_inputs(image, ground, self.contract)
        with self._turn:
            return self._engine((image.shape[1], image.shape[2])).run(image, outputs, ground)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the wanted engine is ready, refused or closed; False if it took longer."""
        return self._settled.wait(timeout_s)

    def close(self) -> None:
        """See Engine.close. A build that still runs ends by itself: its engine stays in the cache
        and is not used here."""
        with self._turn:
            self._closed = True
            for engine in [*self._ready.values(), *([self._stand_in] if self._stand_in else [])]:
                engine.close()
            self._ready.clear()
            self._stand_in = None
        self._settled.set()

    def _engine(self, hw: Size) -> Engine:
        if self._closed:
            raise EngineError('the engine was closed; load it again before running it')
        engine = self._ready.get(hw) or self._ready.get(None)
        if engine is None:
            if self.state == READY:
                self._begin(hw)
            engine = self._stand_in = self._stand_in or self._load_stand_in()
        self._show(engine)
        return engine

    def _show(self, engine: Engine) -> None:
        self.backend, self.device = engine.backend, engine.device
        self.precision = engine.precision

    def _begin(self, hw: Size) -> None:
        self._settled.clear()
        self._heard_s = time.monotonic()
        self.state = BUILDING
        self.text = f'{REFERENCE} serves; {self._name} is being made ready for {_text(hw)}'
        threading.Thread(target=self._build, args=(hw,), name='engine build', daemon=True).start()

    def _build(self, hw: Size) -> None:
        done = threading.Event()
        threading.Thread(target=self._tick, args=(hw, done), daemon=True).start()
        verdict = Verdict(False, 'an unforeseen error ended it; the traceback is in the log')
        made = None
        try:
            with _builds:
                if self._closed:
                    return
                made, verdict = self._make(hw, self._hear)
                if verdict.passed:
                    warm_up(made, hw)
        except LightdepthError as error:
            verdict = Verdict(False, str(error))
        finally:
            done.set()
            self._settle(hw, made, verdict)

    def _tick(self, hw: Size, done: threading.Event) -> None:
        """Tell that the engine is still being made, where nothing else tells."""
        started_s = self._heard_s
        while not done.wait(REPORT_S):
            now_s = time.monotonic()
            if now_s - self._heard_s >= REPORT_S:
                self._hear(f'{self._name} for {_text(hw)}: {now_s - started_s:.0f} s so far')

    def _hear(self, line: str) -> None:
        """Pass on what the making of the engine reports, to the log and to the diagnostics."""
        self._heard_s = time.monotonic()
        if not self._closed:
            self.text = f'{REFERENCE} serves; {line}'
            self._report(line)

    def _settle(self, hw: Size, made: Engine | None, verdict: Verdict) -> None:
        with self._turn:
            wanted = verdict.passed and not self._closed
            if made is not None and wanted:
                self._hand_over(hw, made)
            elif made is not None:
                made.close()
            if not self._closed:
                self._conclude(verdict)
        self._settled.set()
        memory.give_back()  # of the stand-in, and of what was tried and was slower

    def _hand_over(self, hw: Size, engine: Engine) -> None:
        while len(self._ready) >= KEPT_SIZES:
            self._ready.pop(next(iter(self._ready))).close()
        self._ready[hw if engine.one_size else None] = engine
        self._show(engine)
        if self._stand_in is not None:
            self._stand_in.close()
            self._stand_in = None

    def _conclude(self, verdict: Verdict) -> None:
        if verdict.passed:
            self.state, self.text = READY, '; '.join(filter(None, (verdict.why, verdict.text)))
            self._report(f'{self.backend} {self.precision} serves from now on: {verdict.text}')
        else:
            self.state = REFUSED
            self.text = f'{self._name} was refused, {REFERENCE} serves: {verdict.text}'
            self._report(f'warning: {self.text}')


def _text(hw: Size) -> str:
    return f'{hw[1]}x{hw[0]}'
