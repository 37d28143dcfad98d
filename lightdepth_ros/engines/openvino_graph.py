# SPDX-License-Identifier: Apache-2.0
"""Rewrites a model of fixed size into one that OpenVINO's CPU plugin computes faster.

Nothing is approximated. What each rewriting brings is measured in docs/lab/experiments.md.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from lightdepth_ros.engines import IMAGE

FRONT = ('Transpose', 'Convert', 'Subtract', 'Convolution')
"""How training.export begins: bytes to planes, to float, less the mean, 3x3 at stride 2."""


def rewrite(model: ov.Model, precision: str) -> None:
    """Apply what pays in `precision`; a model of another make is left as it is."""
    if precision == 'bf16':  # in fp32 the one gains nothing and the other costs
        pair_pixels(model)
        merge_heads(model)
    flatten_argmax(model)
    model.validate_nodes_and_infer_types()


def pair_pixels(model: ov.Model) -> None:
    """Read the image as (1, H, W / 2, 6): two neighbouring pixels as one of six channels.

    The first convolution then takes three by two such pairs at stride (2, 1), its kernel holding
    zeros for the pixel that it did not see before. Six channels last are what the plugin computes
    fast, and no transposition of the image is left.
    """
    image = model.input(IMAGE).get_node()
    front = _chain(image.output(0), FRONT)
    if front is None:
        return
    subtract, convolution = front[2:]
    mean, kernel = (node.input_value(1).get_node() for node in (subtract, convolution))
    if not _is_exported_front(mean, kernel, convolution, image.get_output_shape(0)):
        return
    weights = kernel.data
    paired = np.zeros((weights.shape[0], 6, 3, 2), np.float32)
    paired[:, 3:, :, 0] = weights[..., 0]
    paired[:, :3, :, 1] = weights[..., 1]
    paired[:, 3:, :, 1] = weights[..., 2]
    _, height, width, _ = image.get_output_shape(0)
    pairs = ops.reshape(image, np.array([1, height, width // 2, 6]), False)
    two_means = np.tile(mean.data.reshape(-1), 2).astype(np.float32)
    centred = ops.subtract(ops.convert(pairs, np.float32), ops.constant(two_means))
    planes = ops.transpose(centred, np.array([0, 3, 1, 2]))
    found = ops.convolution(planes, ops.constant(paired), [2, 1], [1, 1], [1, 0], [1, 1])
    convolution.output(0).replace(found.output(0))


def merge_heads(model: ov.Model) -> None:
    """Compute 1x1 convolutions of the same features, with their biases, as one of all channels."""
    heads: dict[Any, list[tuple[Any, Any]]] = defaultdict(list)
    for node in model.get_ordered_ops():
        if node.get_type_name() != 'Convolution' or node.input_value(1).get_shape()[2:] != [1, 1]:
            continue
        readers = [target.get_node() for target in node.output(0).get_target_inputs()]
        adds = [reader for reader in readers if reader.get_type_name() == 'Add']
        if len(adds) == 1 and node.input_value(1).get_node().get_type_name() == 'Constant':
            source = node.input_value(0)
            key = source.get_node().get_friendly_name(), source.get_index()
            heads[key].append((node, adds[0]))
    for pairs in heads.values():
        if len(pairs) > 1:
            _merge(pairs)


def flatten_argmax(model: ov.Model) -> None:
    """Take the argmax over (1, classes, h * w) instead of (1, classes, h, w): the same result.

    A map of three dimensions cannot stay in the channels-last order of the convolution before
    it, in which OpenVINO's search for the maximum is ten times slower (4 ms at exit L).
    """
    for node in model.get_ops():
        shape = node.input_value(0).get_shape() if node.get_type_name() == 'TopK' else []
        if len(shape) != 4:
            continue
        flat = ops.reshape(node.input_value(0), np.array([*shape[:2], -1]), False)
        attributes = node.get_attributes()
        found = ops.topk(
            flat, node.input_value(1), 1, attributes['mode'], attributes['sort'],
            attributes['index_element_type'], stable=attributes['stable'],
        )  # fmt: skip
        for index, output in enumerate(node.outputs()):
            unflat = ops.reshape(found.output(index), np.array(list(output.get_shape())), False)
            output.replace(unflat.output(0))


def _chain(output: Any, kinds: tuple[str, ...]) -> list[Any] | None:
    """Return the nodes of these kinds that follow `output`, each the only reader of the last."""
    nodes = []
    for kind in kinds:
        readers = [target.get_node() for target in output.get_target_inputs()]
        if [reader.get_type_name() for reader in readers] != [kind]:
            return None
        nodes.append(readers[0])
        output = readers[0].output(0)
    return nodes


def _is_exported_front(mean: Any, kernel: Any, convolution: Any, shape: Any) -> bool:
    attributes = convolution.get_attributes()
    return (
        mean.get_type_name() == kernel.get_type_name() == 'Constant'
        and mean.data.size == 3
        and list(kernel.data.shape[1:]) == [3, 3, 3]
        and list(attributes['strides']) == [2, 2]
        and list(attributes['pads_begin']) == list(attributes['pads_end']) == [1, 1]
        and list(attributes['dilations']) == [1, 1]
        and shape[2] % 2 == 0
    )


def _merge(heads: list[tuple[Any, Any]]) -> None:
    weights = [convolution.input_value(1).get_node().data for convolution, _ in heads]
    source = heads[0][0].input_value(0)
    zero, one = [0, 0], [1, 1]
    found = ops.convolution(source, ops.constant(np.concatenate(weights)), one, zero, zero, one)
    biases = [_other_input(add, convolution) for convolution, add in heads]
    biased = ops.add(found, ops.concat(biases, 1))
    parts = ops.variadic_split(biased, 1, np.array([len(part) for part in weights]))
    for index, (_, add) in enumerate(heads):
        add.output(0).replace(parts.output(index))


def _other_input(add: Any, convolution: Any) -> Any:
    first = add.input_value(0)
    return add.input_value(1) if first.get_node() == convolution else first
