# SPDX-License-Identifier: Apache-2.0
"""A model file small enough to predict by hand, with the interface of the exported students."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from lightdepth_ros.classes import CLASSES
from lightdepth_ros.contract import EXIT_STRIDE, ModelContract, file_sha256, model_name
from lightdepth_ros.mount import CANONICAL_HEIGHT_M

CANONICAL_FOCAL_PX = 600.0
DEPTH_PER_RED_M = 0.5
GROUND_WEIGHTS = (1.0, 2.0, 4.0, 8.0)


def make_tiny_model(
    folder: Path, exit_name: str = 'L', student: str = 'tiny', ground: bool = False
) -> Path:
    """Write the ONNX and its contract into `folder`; return the contract's path.

    Each output pixel looks at one input pixel, the top left one of its stride x stride block:
    depth = red * 0.5 metres, label = green modulo 19, confidence = blue. With `ground` the model
    takes a ground map too, and its depth is larger by the map's mean, each channel with a weight
    of its own (GROUND_WEIGHTS): whoever mixes them up gives another depth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = model_name(student, exit_name)
    onnx_path = folder / f'{name}.onnx'
    onnx.save(_model(EXIT_STRIDE[exit_name], ground), onnx_path)
    contract = ModelContract(
        student=student,
        exit=exit_name,
        onnx_file=onnx_path.name,
        onnx_sha256=file_sha256(onnx_path),
        canonical_focal_px=CANONICAL_FOCAL_PX,
        depth_range_m=(0.5, 120.0),
        training={'data': 'none: written by hand for tests'},
        canonical_height_m=CANONICAL_HEIGHT_M if ground else None,
    )
    contract_path = folder / f'{name}.json'
    contract_path.write_text(contract.to_json(), encoding='utf-8')
    return contract_path


def tiny_outputs(
    image: np.ndarray, stride: int, ground: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return what the tiny model must answer to `image`, (1, H, W, 3) uint8, and `ground`."""
    pixels = image[:, ::stride, ::stride]
    more = 0.0 if ground is None else ground.mean((0, 2, 3)) @ np.float32(GROUND_WEIGHTS)
    return {
        'depth': pixels[..., 0].astype(np.float32) * np.float32(DEPTH_PER_RED_M) + more,
        'label': pixels[..., 1] % np.uint8(len(CLASSES)),
        'confidence': pixels[..., 2].copy(),
    }


def _model(stride: int, ground: bool) -> onnx.ModelProto:
    constants = [
        helper.make_tensor('starts', TensorProto.INT64, [2], [0, 0]),
        helper.make_tensor('ends', TensorProto.INT64, [2], [2**31 - 1, 2**31 - 1]),
        helper.make_tensor('axes', TensorProto.INT64, [2], [1, 2]),
        helper.make_tensor('steps', TensorProto.INT64, [2], [stride, stride]),
        helper.make_tensor('metres', TensorProto.FLOAT, [], [DEPTH_PER_RED_M]),
        helper.make_tensor('class_count', TensorProto.INT64, [], [len(CLASSES)]),
        *(helper.make_tensor(c, TensorProto.INT64, [], [i]) for i, c in enumerate('rgb')),
    ]
    nodes = [
        helper.make_node('Slice', ['image', 'starts', 'ends', 'axes', 'steps'], ['pixels']),
        helper.make_node('Gather', ['pixels', 'r'], ['red'], axis=3),
        helper.make_node('Gather', ['pixels', 'g'], ['green'], axis=3),
        helper.make_node('Gather', ['pixels', 'b'], ['confidence'], axis=3),
        helper.make_node('Cast', ['red'], ['red_float'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['red_float', 'metres'], ['red_m' if ground else 'depth']),
        helper.make_node('Cast', ['green'], ['green_int'], to=TensorProto.INT64),
        helper.make_node('Mod', ['green_int', 'class_count'], ['label_int']),
        helper.make_node('Cast', ['label_int'], ['label'], to=TensorProto.UINT8),
    ]
    inputs = [helper.make_tensor_value_info('image', TensorProto.UINT8, [1, 'H', 'W', 3])]
    if ground:
        _add_ground(constants, nodes, inputs)
    out = [1, 'h', 'w']
    graph = helper.make_graph(
        nodes,
        'tiny',
        inputs,
        [
            helper.make_tensor_value_info('depth', TensorProto.FLOAT, out),
            helper.make_tensor_value_info('label', TensorProto.UINT8, out),
            helper.make_tensor_value_info('confidence', TensorProto.UINT8, out),
        ],
        constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid('', 17)], producer_name='lightdepth test'
    )
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def _add_ground(constants: list, nodes: list, inputs: list) -> None:
    kernel = np.float32(GROUND_WEIGHTS).reshape(1, 4, 1, 1)
    constants.append(onnx.numpy_helper.from_array(kernel, 'ground_weights'))
    inputs.append(helper.make_tensor_value_info('ground', TensorProto.FLOAT, [1, 4, 'gh', 'gw']))
    axes = helper.make_tensor('ground_axes', TensorProto.INT64, [1], [1])
    constants.append(axes)
    nodes += [
        helper.make_node('Conv', ['ground', 'ground_weights'], ['weighted']),
        helper.make_node('GlobalAveragePool', ['weighted'], ['mean']),
        helper.make_node('Squeeze', ['mean', 'ground_axes'], ['mean_hw']),
        helper.make_node('Add', ['red_m', 'mean_hw'], ['depth']),
    ]
