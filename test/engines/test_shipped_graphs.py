# SPDX-License-Identifier: Apache-2.0
"""The eight ONNX files that ship: nothing in them that a robot would compute for nothing."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from lightdepth_ros.contract import EXIT_STRIDE, shipped_contract
from lightdepth_ros.engines import OUTPUTS, EngineRequest, load_engine
from lightdepth_ros.engines.golden import golden_ground, golden_image
from lightdepth_ros.engines.onnx_outputs import keep_outputs

onnx = pytest.importorskip('onnx')

from lightdepth_ros.engines import tensorrt_graph  # noqa: E402 - needs onnx

NODES = {
    'plain': {'L': 64, 'M': 59, 'S': 55, 'XS': 49},
    'paper': {'L': 196, 'M': 183, 'S': 163, 'XS': 144},
}
"""Most nodes a file may have, constants not counted: files exported before they were moved to the
initializers (training.model.graph_tidy) have them as nodes. A larger number means that a layer was
no longer folded, or a size no longer known."""

FILES = [(student, exit_name) for student in NODES for exit_name in EXIT_STRIDE]
LEFTOVERS = {
    *('Shape', 'Size', 'ConstantOfShape', 'Expand', 'Range', 'NonZero', 'Where'),  # sizes
    *('Softmax', 'LogSoftmax', 'Softplus'),  # probabilities; the label needs none
    *('BatchNormalization', 'Dropout', 'Identity', 'Pad'),  # for training, or folded
    *('If', 'Loop', 'Scan'),
}
IMAGE, METRES, BYTE = onnx.TensorProto.UINT8, onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8
INPUTS = {'plain': {'image': IMAGE, 'ground': onnx.TensorProto.FLOAT}, 'paper': {'image': IMAGE}}


@pytest.fixture(params=FILES, ids=lambda pair: '_'.join(pair))
def shipped(request):
    """(student, exit, bytes of the file)."""
    student, exit_name = request.param
    path = shipped_contract(student, exit_name).with_suffix('.onnx')
    return student, exit_name, path.read_bytes()


def kinds(graph) -> collections.Counter[str]:
    return collections.Counter(node.op_type for node in graph.node)


def computing(graph) -> int:
    """Return the number of nodes that are no constants."""
    return len(graph.node) - kinds(graph)['Constant']


def rim(values) -> dict[str, int]:
    """Name -> element type of a graph's inputs or outputs."""
    return {value.name: value.type.tensor_type.elem_type for value in values}


def test_graph_is_no_larger_than_it_has_to_be(shipped):
    student, exit_name, data = shipped
    graph = onnx.load_from_string(data).graph
    assert computing(graph) <= NODES[student][exit_name]
    assert set(kinds(graph)) & LEFTOVERS == set()


def test_image_comes_in_as_bytes_and_only_depth_goes_out_as_float(shipped):
    graph = onnx.load_from_string(shipped[2]).graph
    assert rim(graph.input) == INPUTS[shipped[0]]
    assert rim(graph.output) == {'depth': METRES, 'label': BYTE, 'confidence': BYTE}
    for value in graph.output:
        assert len(value.type.tensor_type.shape.dim) == 3  # no channels: no image, no logits


def test_gather_picks_a_channel_by_a_constant_and_nothing_else(shipped):
    graph = onnx.load_from_string(shipped[2]).graph
    constants = {n.output[0] for n in graph.node if n.op_type == 'Constant'}
    constants |= {tensor.name for tensor in graph.initializer}
    gathers = [node for node in graph.node if node.op_type == 'Gather']
    assert len(gathers) in (0, 2)  # (1, 1, h, w) -> (1, h, w), in files that do not squeeze
    for node in gathers:
        assert node.input[1] in constants
        assert [a.i for a in node.attribute if a.name == 'axis'] == [1]


def test_depth_alone_is_computed_without_anything_of_the_labels(shipped):
    data = shipped[2]
    whole, depth = (onnx.load_from_string(d).graph for d in (data, keep_outputs(data, ['depth'])))
    assert rim(depth.output) == {'depth': METRES}
    gone = kinds(whole) - kinds(depth)
    assert gone['Conv'] == 1  # the one that gives the classes
    assert kinds(depth)['ArgMax'] == 0
    assert computing(whole) - computing(depth) == 13
    weights = [sum(len(t.raw_data) for t in graph.initializer) for graph in (whole, depth)]
    assert weights[0] - weights[1] > 19 * 4 * 8  # 19 classes, float32
    kept = {name for node in depth.node for name in node.output}
    wanted = {name for node in depth.node for name in node.input} | {'depth'}
    assert kept <= wanted  # every node left has a reader


def test_labels_alone_are_computed_without_the_depth(shipped):
    graph = onnx.load_from_string(keep_outputs(shipped[2], ['label'])).graph
    assert rim(graph.output) == {'label': BYTE}
    assert kinds(graph)['Exp'] == 0


@pytest.mark.parametrize(('student', 'exit_name'), FILES)
def test_outputs_left_out_change_no_bit_of_the_others(student, exit_name):
    engine = load_engine(EngineRequest(shipped_contract(student, exit_name)))
    image = golden_image((64, 96))
    ground = golden_ground(engine.contract, (64, 96), known=True)
    whole = engine.run(image, ground=ground)
    for outputs in (['depth'], ['label'], ['depth', 'label']):
        found = engine.run(image, outputs, ground)
        assert set(found) == set(outputs)
        for name in outputs:
            np.testing.assert_array_equal(found[name], whole[name])
    engine.close()


@pytest.mark.parametrize('outputs', [OUTPUTS, ('depth',)])
def test_graph_of_a_fixed_size_has_no_leftovers_either(shipped, outputs, tmp_path):
    path = tmp_path / 'model.onnx'
    path.write_bytes(shipped[2])
    graph = onnx.load_from_string(tensorrt_graph.prepare(path, (320, 480), outputs, 'fp16')).graph
    assert set(kinds(graph)) & (LEFTOVERS | {'Constant'}) == set()
    assert kinds(graph)['ArgMax'] == (1 if 'label' in outputs else 0)
    assert rim(graph.input) == INPUTS[shipped[0]]
