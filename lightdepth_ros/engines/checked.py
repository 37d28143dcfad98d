# SPDX-License-Identifier: Apache-2.0
"""Load an engine and let the golden frame decide whether it may be used."""

from __future__ import annotations

import logging
from dataclasses import replace

from lightdepth_ros.engines import Engine, EngineRequest, load_engine
from lightdepth_ros.engines.choose import choose
from lightdepth_ros.engines.golden import REFERENCE, Verdict, compare
from lightdepth_ros.errors import EngineError


def load_checked(request: EngineRequest) -> tuple[Engine, Verdict]:
    """Load an engine and compare it; if it is refused, return ONNX Runtime instead.

    The verdict says which: `passed` is False when the engine returned is the fallback.
    A backend that cannot run at all is still an EngineError: the user named it.
    """
    why = ''
    if request.backend == 'auto':
        engine, choice = choose(request)
        why = choice.reason
    else:
        engine = load_engine(request)
    if engine.backend == REFERENCE:
        return engine, Verdict(True, f'{REFERENCE} is the reference itself', why)
    reference = load_reference(request)
    verdict = compare(engine, reference, request.input_hw)
    spare = reference if verdict.passed else engine
    spare.close()
    return (engine if verdict.passed else reference), replace(verdict, why=why)


def load_sound(request: EngineRequest) -> Engine:
    """Load an engine for a command line or a Python program, which waits for it.

    Everything but the node uses this; the node must keep serving (see handover.py). An engine
    that fails the golden frame is never returned: with `auto`, ONNX Runtime replaces it and
    `report` (None: the log) gets a warning; if the user named it, EngineError gives the numbers
    and the remedy. `onnxruntime` is the reference, so it passes by definition. Raises
    ContractError or EngineError.
    """
    report = request.report or logging.getLogger('lightdepth').warning
    engine, verdict = load_checked(replace(request, report=report))
    if verdict.passed:
        return engine
    if request.backend == 'auto':
        report(f'warning: {REFERENCE} takes over, because {verdict.text}')
        return engine
    engine.close()
    raise EngineError(
        f'backend {request.backend} is refused, because its numbers are wrong: {verdict.text}. '
        f'Set backend to {REFERENCE} or auto, or precision to fp32; `lightdepth engine prune '
        '--all` deletes a built engine that went bad.'
    )


def load_reference(request: EngineRequest) -> Engine:
    """Load the same model in ONNX Runtime, in its own precision."""
    return load_engine(replace(request, backend=REFERENCE, precision='auto'))
