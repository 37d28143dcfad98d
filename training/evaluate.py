# SPDX-License-Identifier: Apache-2.0
"""Score exported students: what is scored is the ONNX file, run by the robot's own code.

Examples, from the repository root:

  M=lightdepth_ros/models/lightdepth_plain_L.json
  python -m training.evaluate --model $M --data kitti-val
  python -m training.evaluate --model $M --data kitti-val --wide one-pass --input-height 256
  python -m training.evaluate --model $M --exits L,M,S,XS --data kitti-val,camvid-val --out runs/e
  python -m training.evaluate --model $M --data kitti-val,kitti-unlabelled --robot --out runs/e
  python -m training.evaluate --model $M --data synthetic --limit 100 --robot
  python -m training.evaluate --model $M --data kitti-val --mount unknown --mount dataset
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightdepth_ros import terminal
from lightdepth_ros.contract import EXIT_STRIDE, model_name
from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.files import write_files
from lightdepth_ros.mount import Mount
from training.datasets.catalog import open_dataset
from training.datasets.sample import Dataset, Sample
from training.scoring import plots, report, robustness
from training.scoring.fullframe import Model, MountChoice, tile_width
from training.scoring.protocols import PROTOCOLS, Protocol
from training.scoring.score import score, summary
from training.scoring.worst import worst_frames


@dataclass(frozen=True)
class First:
    """The first `count` frames of a data set, in their order (flicker needs neighbours)."""

    dataset: Dataset
    count: int

    @property
    def name(self) -> str:
        """The data set's name, saying that it is a part."""
        return f'{self.dataset.name}, first {len(self)}'

    def __len__(self) -> int:
        return min(self.count, len(self.dataset))

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < len(self):
            raise IndexError(f'{self.name}: there is no number {index}')
        return self.dataset[index]


def contracts_of(model: Path, exits: str) -> list[Path]:
    """Return the contracts to score: `model` itself, or its sisters with the exits named."""
    if not exits:
        return [model]
    names = [name.strip() for name in exits.split(',')]
    wrong = [name for name in names if name not in EXIT_STRIDE]
    if wrong:
        raise ConfigError(f'exit is {wrong[0]!r}; it must be one of {", ".join(EXIT_STRIDE)}')
    student = model.stem.removeprefix('lightdepth_').rpartition('_')[0]
    return [model.with_name(f'{model_name(student, name)}.json') for name in names]


def describe(model: Model, dataset: Dataset) -> dict[str, Any]:
    """Return what was scored on what: the identity of a result."""
    contract = model.contract
    height, width = dataset[0].rgb.shape[:2]
    if model.wide == 'three-tiles':
        width = tile_width((height, width))
    return {
        'model': model_name(contract.student, contract.exit),
        'student': contract.student,
        'exit': contract.exit,
        'onnx_sha256': contract.onnx_sha256,
        'data': dataset.name,
        'wide': model.wide,
        'input_hw': model.network_hw((height, width)),
        'fit': model.input_of((height, width))[1],
        'backend': f'{model.engine.backend} on {model.engine.device}',
    }


def parse_mount(text: str) -> MountChoice:
    """Return unknown, dataset, or the mount of HEIGHT[,PITCH[,ROLL]] in metres and degrees."""
    if text == 'unknown' or text == 'dataset':
        return text
    try:
        numbers = [float(word) for word in text.split(',')]
        if not 1 <= len(numbers) <= 3:
            raise ValueError(f'{len(numbers)} numbers')
    except ValueError as error:
        raise ConfigError(
            f'mount is {text!r}; it must be unknown, dataset, or HEIGHT[,PITCH[,ROLL]] in metres '
            f'and degrees, as in 0.42,5 ({error})'
        ) from error
    return Mount(*numbers)


def ways_of(
    model: Model, dataset: Dataset, names: str, input_height: int
) -> list[tuple[Model, list[str]]]:
    """Return the model behind each way of `names` that differs, and the ways that are the same.

    The first frame decides: two ways are the same where they lay it alike into the network input.
    """
    size_hw = dataset[0].rgb.shape[0], dataset[0].rgb.shape[1]
    found: list[tuple[Model, list[str]]] = []
    for name in names.split(','):
        way = model.with_way(name.strip(), input_height)
        tiles = way.wide == 'three-tiles'
        alike = [
            same
            for other, same in found
            if not tiles and other.placement(size_hw) == way.placement(size_hw)
        ]
        if alike:
            alike[0].append(way.wide)
        else:
            found.append((way, [way.wide]))
    return found


def evaluate_model(
    model: Model, dataset: Dataset, protocol: Protocol, robot: bool = False
) -> dict[str, Any]:
    """Score one model on one data set and return the result as plain data."""
    identity = describe(model, dataset)
    title = f'{identity["model"]} on {dataset.name}'
    result = identity | summary(score(dataset, model, protocol, title), protocol)
    if robot:
        result['robot'] = robustness.measure(dataset, model, protocol)
    return result


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    p = argparse.ArgumentParser(
        prog='python -m training.evaluate',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='Protocols:\n' + '\n'.join(f'  {q.name}: {q.about}' for q in PROTOCOLS.values()),
    )
    p.add_argument('--model', type=Path, required=True, help="an exported student's contract JSON")
    p.add_argument('--exits', default='', help='score these exits of the same student: L,M,S,XS')
    p.add_argument('--data', default='kitti-val', help='data sets, comma separated (kitti-val)')
    p.add_argument(
        '--root',
        type=Path,
        default=None,
        help='road data folder (default: LIGHTDEPTH_DATA or ../shared/data)',
    )
    p.add_argument(
        '--limit', type=int, default=0, help='score only the first frames of each; 0 = all (0)'
    )
    p.add_argument('--protocol', choices=PROTOCOLS, default='raw', help='see below (raw)')
    p.add_argument(
        '--input-height',
        type=int,
        default=320,
        help='rows of the network input for whole frames, a multiple of 32 (320)',
    )
    p.add_argument(
        '--wide',
        default='node,predict,one-pass',
        help='how frames reach the network, comma separated: as in the node or in lightdepth '
        'predict by default (node, predict), the whole frame at once (one-pass), '
        'in three overlapping 3:2 tiles (three-tiles); ways that come to the same are scored '
        'once (node,predict,one-pass)',
    )
    p.add_argument(
        '--mount',
        action='append',
        metavar='WHICH',
        help='what the network is told of the camera: unknown, dataset (its pose, or level at its '
        'height, where the data set knows it), or HEIGHT[,PITCH[,ROLL]] in metres and degrees; '
        'may be repeated (unknown)',
    )
    p.add_argument(
        '--robot',
        action='store_true',
        help='also flatness, obstacles, flicker, focal length, image faults',
    )
    p.add_argument('--backend', default='onnxruntime', help='inference engine (onnxruntime)')
    p.add_argument('--threads', type=int, default=1, help="the engine's CPU threads (1)")
    p.add_argument('--worst', type=int, default=6, help='frames on the contact sheet (6)')
    p.add_argument(
        '--out',
        type=Path,
        default=None,
        help='folder for JSON, Markdown, plots and the worst frames',
    )
    return p


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Score every model on every data set; write what --out asks for; return the results."""
    protocol = PROTOCOLS[args.protocol]
    datasets: list[Dataset] = [open_dataset(n.strip(), args.root) for n in args.data.split(',')]
    if args.limit:
        datasets = [First(d, args.limit) if args.limit < len(d) else d for d in datasets]
    results = []
    for path in contracts_of(args.model, args.exits):
        model = Model(
            path,
            input_height=args.input_height,
            backend=args.backend,
            threads=args.threads,
        )
        for dataset in datasets:
            for way, same in ways_of(model, dataset, args.wide, args.input_height):
                for mount in args.mount or ['unknown']:
                    told = way.with_mount(parse_mount(mount))
                    result = evaluate_model(told, dataset, protocol, args.robot)
                    results.append(result | {'same': same, 'mount': mount})
                    if args.out:
                        worst_frames(dataset, told, results[-1], args.out, args.worst)
        model.close()
    return results


def write_results(results: list[dict[str, Any]], out: Path) -> None:
    """Write evaluation.json, evaluation.md and the plots."""
    texts = {
        'evaluation.json': json.dumps(results, indent=2) + '\n',
        'evaluation.md': report.markdown(results),
    }
    write_files({out / name: text.encode() for name, text in texts.items()})
    plots.write_plots(results, out)


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    args = parser().parse_args(argv)
    try:
        results = run(args)
        print(report.markdown(results))
        if args.out:
            write_results(results, args.out)
            print(f'written: {args.out}/evaluation.json, evaluation.md, plots and worst frames')
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
