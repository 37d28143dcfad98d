# SPDX-License-Identifier: Apache-2.0
"""Error against steps, or against images: fit a power law to runs, say what more would bring.

    python -m training.curve runs/stage1 runs/stage2 --metric abs_rel --target 0.12 --out curve.png
    python -m training.curve runs/share_* --against images --out images.png

Against steps, runs are joined in the order given: each continues where the one before stopped
(`--init`). Against images, the runs differ in `--image-share` alone, and the last validation of
each is a point. The fit is error = floor + factor * x ** -power over the validations of the
averaged weights. It extrapolates one recipe: a bigger network is another curve. A target below the
fitted floor is said to be out of reach of steps (or images) alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import curve_fit

from lightdepth_ros import terminal
from lightdepth_ros.errors import DataError, LightdepthError

FEWEST = 5
"""Validations below which three numbers cannot be fitted honestly."""
AXES = {'steps': 'optimiser steps', 'images': 'images, as a multiple of all there are'}
METRICS = {'abs_rel': 'lower', 'rmse': 'lower', 'delta1': 'higher', 'nav7_miou': 'higher'}


@dataclass(frozen=True)
class PowerLaw:
    """error = floor + factor * x ** -power; spread: RMS of the points about it.

    x: optimiser steps, or images as a multiple of all there are.
    """

    floor: float
    factor: float
    power: float
    spread: float

    def at(self, x: np.ndarray | float) -> np.ndarray | float:
        """Return the error at `x`."""
        return self.floor + self.factor * np.asarray(x, float) ** -self.power

    def reaches(self, error: float) -> float | None:
        """Return the x that reaches `error`; None = never."""
        if error <= self.floor:
            return None
        return float(((error - self.floor) / self.factor) ** (-1 / self.power))


def read_run(folder: Path, metric: str) -> list[tuple[int, float]]:
    """Return (steps done, value) of each validation in a run's metrics.csv."""
    path = folder / 'log' / 'metrics.csv'
    if not path.is_file():
        raise DataError(f'{path} does not exist; give the --out folder of a training run')
    with path.open(newline='', encoding='utf-8') as stream:
        rows = [r for r in csv.DictReader(stream) if r.get(f'val/{metric}')]
    return [(int(r['step']) + 1, float(r[f'val/{metric}'])) for r in rows]


def join_runs(folders: list[Path], metric: str) -> np.ndarray:
    """Return (n, 2) float64: steps since the first run began, and the value then."""
    points: list[tuple[int, float]] = []
    for folder in folders:
        before = points[-1][0] if points else 0
        points += [(before + step, value) for step, value in read_run(folder, metric)]
    if len(points) < FEWEST:
        raise DataError(
            f'{", ".join(map(str, folders))}: {len(points)} validations of {metric}, at least '
            f'{FEWEST} are needed; train longer or lower --val-every'
        )
    return np.array(points, float)


def last_of_each(folders: list[Path], metric: str) -> np.ndarray:
    """Return (n, 2) float64, ascending: each run's share of the images and its last value."""
    points = []
    for folder in folders:
        values = read_run(folder, metric)
        settings = json.loads((folder / 'config.json').read_text(encoding='utf-8'))
        if values:
            points.append((float(settings.get('image_share', 1.0)), values[-1][1]))
    if len({share for share, _ in points}) < FEWEST:
        raise DataError(
            f'{", ".join(map(str, folders))}: runs of {len({s for s, _ in points})} different '
            f'shares of the images, at least {FEWEST} are needed; train them with --image-share '
            '0.0625, 0.125, 0.25, 0.5 and 1, and the same steps'
        )
    return np.array(sorted(points), float)


def fit(points: np.ndarray) -> PowerLaw:
    """Fit the law to (n, 2) x and errors (lower is better), by relative least squares."""
    x, error = points.T

    def law(value: np.ndarray, floor: float, factor: float, power: float) -> np.ndarray:
        return floor + factor * (value / x[0]) ** -power

    start = (0.8 * error.min(), error[0] - 0.8 * error.min(), 0.5)
    try:
        (floor, factor, power), _ = curve_fit(
            law, x, error, start, sigma=error, bounds=([0, 1e-9, 0.05], [error.min(), 10, 3]),
            max_nfev=20000,
        )  # fmt: skip
    except (RuntimeError, ValueError) as problem:
        raise DataError(f'no power law fits these validations: {problem}') from problem
    spread = float(np.sqrt(np.mean((law(x, floor, factor, power) - error) ** 2)))
    return PowerLaw(float(floor), float(factor * x[0] ** power), float(power), spread)


def draw(points: np.ndarray, law: PowerLaw, metric: str, against: str, out: Path) -> None:
    """Draw the validations and the law on a logarithmic axis, up to 16 times as many."""
    from training.scoring import plots

    higher = METRICS[metric] == 'higher'
    values, limit = (1 - points[:, 1], 1 - law.floor) if higher else (points[:, 1], law.floor)
    more = np.geomspace(points[0, 0], 16 * points[-1, 0], 200)
    figure, axes = plots.plt.subplots(figsize=(7, 4.2))
    axes.plot(points[:, 0], values, 'o', ms=4, label='validation')
    axes.plot(more, 1 - law.at(more) if higher else law.at(more), lw=1, label='power law')
    axes.axhline(limit, lw=0.8, ls='--', color='grey', label='its limit')
    axes.set(xscale='log', xlabel=AXES[against], ylabel=metric)
    axes.grid(alpha=0.3)
    axes.legend()
    plots.save(figure, out)


def report(
    points: np.ndarray, law: PowerLaw, metric: str, against: str, target: float | None
) -> Table:
    """Return the table of what 1, 2, 4, 8 and 16 times as many would give."""
    higher = METRICS[metric] == 'higher'
    unit = 'steps' if against == 'steps' else 'times the images'
    table = Table(against, f'{metric} by the law', title=f'limit {shown(law.floor, higher)}, '
                  f'power {law.power:.2f}, spread {law.spread:.4f}')  # fmt: skip
    for factor in (1, 2, 4, 8, 16):
        x = factor * points[-1, 0]
        table.add_row(f'{x:,.0f} {unit}', shown(float(law.at(x)), higher))
    if target is not None:
        needed = law.reaches(1 - target if higher else target)
        never = f'beyond its limit: not by {against} alone'
        text = never if needed is None else f'{needed:,.3g} {unit}'
        table.add_row(text, f'{target:g} (target)')
    return table


def shown(error: float, higher: bool) -> str:
    """Write an error as the metric that it came from."""
    return f'{1 - error if higher else error:.3f}'


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(
        prog='python -m training.curve', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('runs', type=Path, nargs='+', help='run folders, oldest first')
    parser.add_argument('--against', choices=AXES, default='steps', help='(steps)')
    parser.add_argument('--metric', choices=METRICS, default='abs_rel', help='what to fit')
    parser.add_argument('--target', type=float, default=None, help='value wished for')
    parser.add_argument('--out', type=Path, default=None, help='picture to write (PNG)')
    args = parser.parse_args(argv)
    try:
        read = join_runs if args.against == 'steps' else last_of_each
        points = read(args.runs, args.metric)
        if METRICS[args.metric] == 'higher':
            points[:, 1] = 1 - points[:, 1]
        law = fit(points)
        if args.out:
            draw(points, law, args.metric, args.against, args.out)
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    Console().print(report(points, law, args.metric, args.against, args.target))
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
