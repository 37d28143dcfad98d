# SPDX-License-Identifier: Apache-2.0
"""Turns an exported ONNX file into the form TensorRT takes: sizes fixed, wanted outputs only, the
precision written into the graph. The only runtime file that imports `onnx`.

TensorRT 11 and TensorRT-RTX know strongly typed networks only: they compute each operation in the
type that the graph says, so half precision is put into the graph here, not asked for by a flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lightdepth_ros.engines import GROUND, IMAGE, ground_shape

PRECISION_TYPE = {
    'fp32': TensorProto.FLOAT,
    'fp16': TensorProto.FLOAT16,
    'bf16': TensorProto.BFLOAT16,
}
"""Precision name -> element type of everything between the first and the last convolution.

A file with QuantizeLinear nodes is int8 whatever is asked for; the rest of it stays float32,
because a cast between DequantizeLinear and a convolution would undo their fusion.
"""

CONVOLUTIONS = ('Conv', 'ConvTranspose')
SHAPE_INPUTS = {'Resize': (1, 2, 3), 'Reshape': (1,), 'Slice': (1, 2, 3, 4), 'Pad': (1, 3)}
"""Inputs that hold sizes or factors, not image data: their type is left alone."""


def prepare(
    onnx_path: Path, input_hw: tuple[int, int], outputs: Sequence[str], precision: str
) -> bytes:
    """Return the ONNX model that TensorRT is to build, serialised.

    input_hw: (height, width) of the one image it will take. outputs: subset of `depth`, `label`,
    `confidence`; what only the others need is cut off. precision: key of PRECISION_TYPE.
    """
    model = onnx.load(onnx_path)
    graph = model.graph
    keep = [output for output in graph.output if output.name in outputs]
    del graph.output[:]
    graph.output.extend(keep)
    fix_sizes(graph, input_hw)
    constants_to_initializers(graph)
    drop_unused(graph)
    cast_bytes_to_float(graph)
    quantised = any(node.op_type == 'QuantizeLinear' for node in graph.node)
    if precision != 'fp32' and not quantised:
        lower_precision(graph, PRECISION_TYPE[precision])
        drop_unused(graph)  # the float32 weights that were replaced
    return bytes(model.SerializeToString())


def fix_sizes(graph: onnx.GraphProto, input_hw: tuple[int, int]) -> None:
    """Write the sizes of both inputs into the graph."""
    sizes = {IMAGE: (1, *input_hw, 3), GROUND: ground_shape(input_hw)}
    for value in graph.input:
        for dimension, size in zip(
            value.type.tensor_type.shape.dim, sizes[value.name], strict=True
        ):
            dimension.Clear()
            dimension.dim_value = size


def constants_to_initializers(graph: onnx.GraphProto) -> None:
    """Move the values of Constant nodes to the initializers, where the other steps look."""
    for node in [n for n in graph.node if n.op_type == 'Constant']:
        value = next((a.t for a in node.attribute if a.name == 'value'), None)
        if value is not None:
            tensor = TensorProto()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
            graph.node.remove(node)


def drop_unused(graph: onnx.GraphProto) -> None:
    """Remove nodes, initializers and all inputs but the image that lead to none of the graph's
    outputs."""
    needed = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
    for tensor in [t for t in graph.initializer if t.name not in needed]:
        graph.initializer.remove(tensor)
    for value in [v for v in graph.input if v.name not in needed | {IMAGE}]:
        graph.input.remove(value)


def cast_bytes_to_float(graph: onnx.GraphProto) -> None:
    """Make every operation work on numbers TensorRT computes with.

    It takes uint8 only at the network's rim, and there only cast from and to a float type.
    """
    _rename_input(graph, IMAGE, 'image_float')
    graph.node.insert(0, helper.make_node('Cast', [IMAGE], ['image_float'], to=TensorProto.FLOAT))
    for output in graph.output:
        if output.type.tensor_type.elem_type != TensorProto.UINT8:
            continue
        node = next(n for n in graph.node if output.name in n.output)
        inner = f'{output.name}_number'
        if node.op_type == 'Cast':
            source = node.input[0]
            graph.node.remove(node)
        else:
            node.output[list(node.output).index(output.name)] = source = f'{output.name}_any'
        graph.node.append(helper.make_node('Cast', [source], [inner], to=TensorProto.FLOAT))
        graph.node.append(helper.make_node('Cast', [inner], [output.name], to=TensorProto.UINT8))


def lower_precision(graph: onnx.GraphProto, element: int) -> None:
    """Compute everything between the first and the last convolutions in `element`.

    What comes before (scaling bytes) and after (exp of the depth head, argmax) is cheap and stays
    float32: an exp of half precision would cost the far range metres.
    """
    body = _between_convolutions(graph)
    inside = {name for index in body for name in graph.node[index].output}
    constants = {t.name: t for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    nodes: list[onnx.NodeProto] = []
    made: set[str] = set()
    for position, node in enumerate(graph.node):
        is_body = position in body
        for index, name in enumerate(node.input):
            if not name or is_body == (name in inside):
                continue
            if is_body and index in SHAPE_INPUTS.get(node.op_type, ()):
                continue
            node.input[index] = new = f'{name}_{"low" if is_body else "float32"}'
            if new in made:
                continue
            made.add(new)
            if name in constants:
                graph.initializer.append(_converted(constants[name], new, element))
            else:
                to = element if is_body else TensorProto.FLOAT
                nodes.append(helper.make_node('Cast', [name], [new], to=to))
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # the types written there are no longer true


def _between_convolutions(graph: onnx.GraphProto) -> set[int]:
    """Return the positions of the convolutions and of all nodes on a path from one to another."""
    after: set[str] = set()
    reached = []
    for position, node in enumerate(graph.node):
        if node.op_type in CONVOLUTIONS or not after.isdisjoint(node.input):
            after.update(node.output)
            reached.append(position)
    before: set[str] = set()
    body = set()
    for position in reversed(reached):
        node = graph.node[position]
        if node.op_type in CONVOLUTIONS or not before.isdisjoint(node.output):
            before.update(node.input)
            body.add(position)
    return body


def _converted(tensor: TensorProto, name: str, element: int) -> TensorProto:
    values = numpy_helper.to_array(tensor).astype(np.float32)
    if element == TensorProto.FLOAT16:
        raw = values.astype(np.float16).tobytes()
    else:  # bfloat16: the upper half of a float32, rounded to nearest, ties to even
        bits = values.view(np.uint32).astype(np.uint64)
        raw = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16).tobytes()
    return TensorProto(name=name, data_type=element, dims=tensor.dims, raw_data=raw)


def _rename_input(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
