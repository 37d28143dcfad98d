# SPDX-License-Identifier: Apache-2.0
"""Quantise an exported student to int8 after training, and weigh what it costs and brings.

The convolutions between the first and the heads get 8-bit weights (per channel) and 8-bit
activations, whose ranges are taken from calibration frames. The result is an ONNX file with
QuantizeLinear/DequantizeLinear pairs and a contract of its own. For a CPU activations are unsigned
(ONNX Runtime's signed kernels gain nothing on x86) and weights keep to 7 of their 8 bits, so that
no CPU cuts a sum; for TensorRT activations are signed and symmetric, as it demands. The first
convolution, those that read the ground map and the 1x1 heads stay float: they decide over pixels
and metres, and cost little.

  python -m training.quantize lightdepth_ros/models/lightdepth_plain_L.json \\
      --frames ../shared/data/kitti/train/image --out /tmp/int8

Then score both with `python -m training.evaluate` and time both with `lightdepth bench --model`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from lightdepth_ros import terminal
from lightdepth_ros.camera import Camera
from lightdepth_ros.contract import ModelContract, file_sha256, load_contract
from lightdepth_ros.engines import named_inputs
from lightdepth_ros.errors import ConfigError, LightdepthError
from lightdepth_ros.files import images_in, read_rgb
from lightdepth_ros.mount import Mount, ground_map
from lightdepth_ros.perception.preprocess import Preprocessor

FRAMES = 64
TARGETS = {'cpu': QuantType.QUInt8, 'tensorrt': QuantType.QInt8}
"""What the model is for -> type of the activations."""
WEIGHT_BITS = {'cpu': 7, 'tensorrt': 8}
"""A CPU without an 8-bit dot product adds two products in 16 bits. 2 x 255 x 64 fits in there,
2 x 255 x 127 does not: the sum would be cut, on that CPU alone."""
PERCENTILE = 99.999
"""Share of a tensor's values that must fit its 8-bit range; the rest is clipped."""
QUANTISED = ('Conv', 'Relu', 'Add', 'Resize')


class Frames(CalibrationDataReader):  # type: ignore[misc]
    """Hands calibration inputs to the quantiser one by one."""

    def __init__(self, inputs: Iterator[dict[str, np.ndarray]]) -> None:
        self.inputs = inputs

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next inputs by name, or None after the last."""
        return next(self.inputs, None)


def calibration_inputs(
    folder: Path, contract: ModelContract, count: int, seed: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Yield up to `count` images of a folder as network inputs, by name.

    A model that takes a ground map gets one with each: see `calibration_ground`. Raises DataError
    for a folder without any.
    """
    paths = images_in(folder)
    draw = random.Random(seed)
    draw.shuffle(paths)
    prepare = Preprocessor(contract.input_hw, 'crop', contract.divisor, contract.stride)
    for path in paths[:count]:
        batch = prepare.prepare(read_rgb(path), None).batch.copy()
        ground = calibration_ground(contract.input_hw, draw) if contract.takes_ground else None
        yield named_inputs(batch, ground)


def calibration_ground(input_hw: tuple[int, int], draw: random.Random) -> np.ndarray:
    """Return the ground map of a robot's camera at random, in one of three of unknown mount.

    Ranges, not answers, are what calibration learns, so the map need not fit the picture.
    """
    height, width = input_hw
    camera = Camera.from_fov(width, height, draw.uniform(50.0, 100.0))
    height_m = math.exp(draw.uniform(math.log(0.2), math.log(2.0)))
    mount = Mount(height_m, draw.gauss(0.0, 6.0), draw.gauss(0.0, 2.0))
    return ground_map(camera, mount if draw.random() > 1 / 3 else None, input_hw)


def kept_in_float(model: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes that are not quantised: the convolutions that read an input
    (after nodes that are no convolutions), the 1x1 heads, and everything after them."""
    feeds = {n for node in model.graph.node if node.op_type == 'Conv' for n in node.input[:1]}
    for node in reversed(model.graph.node):  # whatever leads to a convolution
        if not feeds.isdisjoint(node.output):
            feeds.update(node.input)
    raw = {value.name for value in model.graph.input}
    kept = []
    for node in model.graph.node:
        if raw.isdisjoint(node.input):
            continue
        if node.op_type == 'Conv':
            kept.append(node.name)
        else:
            raw.update(node.output)
    for node in model.graph.node:
        if node.op_type in QUANTISED and feeds.isdisjoint(node.output):
            kept.append(node.name)
    return kept


def quantize(
    contract_path: Path, frames: Path, out: Path, count: int = FRAMES, target: str = 'cpu'
) -> Path:
    """Write the int8 model and its contract into `out`; return the contract's path.

    frames: folder of camera images, of which `count` are used. target: key of TARGETS.
    """
    contract = load_contract(contract_path)
    source = contract_path.parent / contract.onnx_file
    if out.resolve() == contract_path.parent.resolve():
        raise ConfigError(
            f'--out {out} holds {source.name} itself: the int8 files have the same names, so that '
            'the node finds every output resolution in their folder. Give another folder.'
        )
    out.mkdir(parents=True, exist_ok=True)
    name = source.stem
    with tempfile.TemporaryDirectory(dir=out) as folder:
        plain, staged = Path(folder) / 'plain.onnx', Path(folder) / 'int8.onnx'
        model = named(onnx.load(source))
        onnx.save(model, plain)
        quantize_static(
            str(plain),
            str(staged),
            Frames(calibration_inputs(frames, contract, count)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_exclude=kept_in_float(model),
            per_channel=True,
            reduce_range=WEIGHT_BITS[target] == 7,
            activation_type=TARGETS[target],
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
            extra_options={
                'ActivationSymmetric': target == 'tensorrt',
                'QuantizeBias': target != 'tensorrt',
                'WeightSymmetric': True,
                'CalibPercentile': PERCENTILE,
            },
        )
        onnx_path = out / f'{name}.onnx'
        staged.replace(onnx_path)
    training = contract.training | {
        'precision': 'int8',
        'quantised_from': contract.onnx_sha256,
        'calibration': f'{count} frames, for {target}, weights of {WEIGHT_BITS[target]} bits',
    }
    quantised = dataclasses.replace(
        contract, onnx_file=onnx_path.name, onnx_sha256=file_sha256(onnx_path), training=training
    )
    path = out / f'{name}.json'
    path.write_text(quantised.to_json(), encoding='utf-8')
    return path


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give every node a name: the quantiser is told by name what to leave alone."""
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f'{node.op_type}_{index}'
    return model


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    top = argparse.ArgumentParser(
        prog='python -m training.quantize',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument('model', type=Path, help='contract JSON of an exported student')
    top.add_argument('--frames', type=Path, required=True, help='folder of camera images')
    top.add_argument('--count', type=int, default=FRAMES, help=f'frames. Default: {FRAMES}')
    top.add_argument('--out', type=Path, required=True, help='folder for the int8 model')
    top.add_argument(
        '--target', choices=tuple(TARGETS), default='cpu', help='who runs it. Default: cpu'
    )
    return top


def main(argv: list[str] | None = None) -> int:
    """Command line entry."""
    args = parser().parse_args(argv)
    try:
        print(quantize(args.model, args.frames, args.out, args.count, args.target))
    except LightdepthError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
