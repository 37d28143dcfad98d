# SPDX-License-Identifier: Apache-2.0
"""Builds TensorRT engines: `tensorrt` 8.6 to 11 and `tensorrt_rtx`, which needs no GPU for it."""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightdepth_ros.backends import INSTALL
from lightdepth_ros.contract import ModelContract
from lightdepth_ros.engines import Report
from lightdepth_ros.engines.cache import EngineKey, get_or_build
from lightdepth_ros.errors import EngineError

FLAVOURS = ('tensorrt', 'tensorrt_rtx')
"""Module names, in the order they are tried: on a Jetson only the first exists."""

WEAK_FLAGS = {'fp32': (), 'fp16': ('FP16',), 'bf16': ('BF16',)}
"""TensorRT 8.6 takes the graph's types as a wish and needs leave to use each of them."""

REPORT_S = 5.0
WORKSPACE_BYTES = 1 << 30
"""Scratch memory the builder may try tactics with; these networks use a few MB."""


def import_tensorrt(flavours: tuple[str, ...] = FLAVOURS) -> Any:
    """Return the first TensorRT module that can be imported. Raises ImportError, saying why."""
    reasons = []
    for name in flavours:
        try:
            return importlib.import_module(name)
        except (ImportError, OSError) as error:  # OSError: a wheel whose libraries are missing
            reasons.append(f'{name}: {error}')
    raise ImportError('; '.join(reasons))


def plan_key(
    trt: Any,
    contract: ModelContract,
    precision: str,
    input_hw: tuple[int, int],
    outputs: tuple[str, ...],
    compute_capability: str,
) -> EngineKey:
    """Return the cache's key of the engine that this TensorRT module builds from a model."""
    return EngineKey(
        onnx_sha256=contract.onnx_sha256,
        exit=contract.exit,
        precision=precision,
        flavour=trt.__name__,
        version=trt.__version__,
        compute_capability=compute_capability,
        input_hw=input_hw,
        outputs=outputs,
    )


def cached_plan(
    trt: Any,
    onnx_path: Path,
    key: EngineKey,
    report: Report,
    *,
    cross: bool = False,
    directory: Path | None = None,
) -> bytes:
    """Return the serialised engine of `key` from the cache, or build and cache it.

    cross: build for the key's compute capability although another GPU, or none, is present.
    directory: of the cache; None = the user's.
    """

    def build() -> bytes:
        try:
            graph = importlib.import_module('lightdepth_ros.engines.tensorrt_graph')
        except ImportError as error:
            raise EngineError(
                f'building a TensorRT engine needs the onnx package ({error}): `pip install onnx`'
            ) from error
        model = graph.prepare(onnx_path, key.input_hw, key.outputs, key.precision)
        target = key.compute_capability if cross else None
        return build_engine(trt, model, key.precision, target, report)

    return get_or_build(key, build, report, directory)


def build_engine(
    trt: Any, model: bytes, precision: str, compute_capability: str | None, report: Report
) -> bytes:
    """Return the serialised engine for an ONNX model made by tensorrt_graph.prepare.

    compute_capability: build for this GPU kind ('8.9') instead of the one present; only
    tensorrt_rtx can. report: told what goes on when the build starts and every 5 s.
    Raises EngineError with TensorRT's own words.
    """
    log = make_logger(trt)
    builder = trt.Builder(log)
    if builder is None:
        raise _error('cannot start the builder', log)
    network = builder.create_network(_network_flags(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        errors = [str(parser.get_error(i)) for i in range(parser.num_errors)]
        raise EngineError(
            f'{trt.__name__} {trt.__version__} cannot read the network: {"; ".join(errors)}. '
            'Use backend onnxruntime, and report the model and this message.'
        )
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    if hasattr(trt.BuilderFlag, 'TF32'):
        config.clear_flag(trt.BuilderFlag.TF32)  # fp32 here means fp32: 13 more mantissa bits
    if _weakly_typed(trt):
        check_precision(trt, precision)
        for name in WEAK_FLAGS[precision] + ('INT8',) * (b'QuantizeLinear' in model):
            config.set_flag(getattr(trt.BuilderFlag, name))
    if compute_capability is not None:
        _aim_at(trt, config, compute_capability)
    with telling_progress(report, f'building the {trt.__name__} {trt.__version__} engine'):
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise _error('cannot build the engine', log)
    return bytes(plan)


def check_precision(trt: Any, precision: str) -> None:
    """Raise EngineError if this TensorRT cannot compute in `precision`."""
    flags = WEAK_FLAGS[precision] if _weakly_typed(trt) else ()
    if not all(hasattr(trt.BuilderFlag, name) for name in flags):
        raise EngineError(
            f'precision is {precision}; {trt.__name__} {trt.__version__} does not offer it. '
            'Use fp16 or fp32.'
        )


def make_logger(trt: Any) -> Any:
    """Return a TensorRT logger that keeps errors in its list `lines` and prints nothing."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.lines.append(message)

    return Log()


def _network_flags(trt: Any) -> int:
    """Ask for a strongly typed network where it exists; otherwise (8.6) for an explicit batch."""
    flags = trt.NetworkDefinitionCreationFlag
    wanted = getattr(flags, 'STRONGLY_TYPED', None)
    if wanted is None:
        wanted = flags.EXPLICIT_BATCH
    return 1 << int(wanted)


def _aim_at(trt: Any, config: Any, compute_capability: str) -> None:
    name = f'SM{compute_capability.replace(".", "")}'
    kinds = getattr(trt, 'ComputeCapability', None)
    if kinds is None:
        raise EngineError(
            f'{trt.__name__} {trt.__version__} builds for the GPU of this machine only. Build on '
            f'the target machine, or install tensorrt_rtx: `{INSTALL["tensorrt"]}`.'
        )
    if not hasattr(kinds, name):
        known = sorted(k for k in dir(kinds) if k.startswith('SM'))
        raise EngineError(
            f'compute capability is {compute_capability!r}; {trt.__name__} {trt.__version__} '
            f'builds for {", ".join(known)} (write SM89 as 8.9).'
        )
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(kinds, name), 0)


def _weakly_typed(trt: Any) -> bool:
    return not hasattr(trt.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED')


def _error(what: str, log: Any) -> EngineError:
    said = '; '.join(log.lines[-3:]) or 'it gave no reason'
    return EngineError(f'TensorRT {what}: {said}. Set backend to auto or onnxruntime to go on.')


@contextlib.contextmanager
def telling_progress(report: Report, what: str) -> Iterator[None]:
    """Report `what` now, every 5 s while the block runs, and its duration at the end."""
    started = time.monotonic()
    done = threading.Event()

    def tell() -> None:
        while not done.wait(REPORT_S):
            report(f'{what}, {time.monotonic() - started:.0f} s so far')

    report(what)
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()
    report(f'{what}: done in {time.monotonic() - started:.1f} s')
