# SPDX-License-Identifier: Apache-2.0
"""Cut an ONNX model down to the nodes that some of its outputs need.

ONNX Runtime 1.32 executes every node of a graph whichever outputs are fetched: its run option
`only_execute_path_to_fetches` saved nothing when measured, and it does not drop nodes without a
consumer either. So the nodes are dropped here, before loading. The file is walked in protobuf's
wire format (protobuf.dev/programming-guides/encoding) by the field numbers of onnx.proto, because
the robot does not have the onnx package.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_OUTPUT = 1, 5, 12
NODE_INPUT, NODE_OUTPUT, NODE_ATTRIBUTE = 1, 2, 5
ATTRIBUTE_GRAPHS = (6, 11)
TENSOR_NAME = 8
VALUE_NAME = 1
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Field = tuple[int, memoryview, memoryview]
"""Field number, payload (of a length-delimited field, else empty), and the whole field."""


def keep_outputs(model: bytes, outputs: Collection[str]) -> bytes:
    """Return the serialised model with only `outputs` and the nodes and weights they need.

    Raises ValueError where `model` is not a protobuf message with these outputs.
    """
    parts: list[bytes | memoryview] = []
    for number, payload, whole in _fields(memoryview(model)):
        if number == MODEL_GRAPH:
            graph = _cut_graph(payload, set(outputs))
            parts += [_varint(MODEL_GRAPH << 3 | BYTES), _varint(len(graph)), graph]
        else:
            parts.append(whole)
    return b''.join(parts)


def _cut_graph(graph: memoryview, outputs: set[str]) -> bytes:
    fields = list(_fields(graph))
    nodes = [payload for number, payload, _ in fields if number == GRAPH_NODE]
    needed = set(outputs)
    kept = set()
    for index in reversed(range(len(nodes))):  # ONNX keeps nodes in topological order
        if needed & set(_strings(nodes[index], NODE_OUTPUT)):
            kept.add(index)
            needed |= set(_inputs(nodes[index]))
    missing = outputs - {_text(p, VALUE_NAME) for n, p, _ in fields if n == GRAPH_OUTPUT}
    if missing:
        raise ValueError(f'the model has no outputs {sorted(missing)}')
    parts = []
    node_index = -1
    for number, payload, whole in fields:
        if number == GRAPH_NODE:
            node_index += 1
            keep = node_index in kept
        elif number == GRAPH_INITIALIZER:
            keep = _text(payload, TENSOR_NAME) in needed
        else:
            keep = number != GRAPH_OUTPUT or _text(payload, VALUE_NAME) in outputs
        if keep:
            parts.append(whole)
    return b''.join(parts)


def _inputs(node: memoryview) -> Iterator[str]:
    """Yield every name a node reads, those that its inner graphs (If, Loop) read included."""
    yield from _strings(node, NODE_INPUT)
    for number, attribute, _ in _fields(node):
        if number != NODE_ATTRIBUTE:
            continue
        for attribute_number, graph, _ in _fields(attribute):
            if attribute_number in ATTRIBUTE_GRAPHS:
                for graph_number, inner, _ in _fields(graph):
                    if graph_number == GRAPH_NODE:
                        yield from _inputs(inner)
                    elif graph_number == GRAPH_OUTPUT:
                        yield _text(inner, VALUE_NAME)


def _strings(message: memoryview, wanted: int) -> list[str]:
    return [str(p, 'utf-8') for number, p, _ in _fields(message) if number == wanted]


def _text(message: memoryview, wanted: int) -> str:
    return next(iter(_strings(message, wanted)), '')


def _fields(message: memoryview) -> Iterator[Field]:
    at = 0
    while at < len(message):
        start = at
        key, at = _read_varint(message, at)
        wire = key & 7
        length = 0
        if wire == VARINT:
            _, at = _read_varint(message, at)
        elif wire == BYTES:
            length, at = _read_varint(message, at)
        elif wire in (FIXED32, FIXED64):
            at += 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f'wire type {wire} at byte {start}: not an ONNX file')
        payload = message[at : at + length]
        at += length
        if at > len(message):
            raise ValueError(f'field at byte {start} reaches beyond the end: file cut short')
        yield key >> 3, payload, message[start:at]


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError('number cut short: not an ONNX file, or a damaged one')


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
