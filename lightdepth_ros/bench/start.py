# SPDX-License-Identifier: Apache-2.0
"""A process that loads one engine and predicts once: `lightdepth bench` starts it to learn what
a start costs. Prints one line of JSON."""

import time

STARTED_S = time.perf_counter()

import json  # noqa: E402 - the clock runs before anything else is imported
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

FURTHER_RUNS = 5


def main(argv: list[str]) -> int:
    """Take contract, backend, threads and precision; print first_s and memory_mib."""
    from lightdepth_ros.engines import EngineRequest, load_engine
    from lightdepth_ros.engines.golden import golden_ground, golden_image

    contract, backend, threads, precision = argv
    engine = load_engine(EngineRequest(Path(contract), backend, int(threads), precision))
    image = golden_image(engine.contract.input_hw)
    ground = golden_ground(engine.contract, engine.contract.input_hw)
    engine.run(image, ground=ground)
    first_s = time.perf_counter() - STARTED_S
    for _ in range(FURTHER_RUNS):
        engine.run(image, ground=ground)
    print(json.dumps({'first_s': first_s, 'memory_mib': resident_mib()}))
    return 0


def resident_mib() -> float:
    """Return this process's resident memory in MiB (Linux)."""
    for line in Path('/proc/self/status').read_text(encoding='ascii').splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) / 1024
    return float('nan')


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
