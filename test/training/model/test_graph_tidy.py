# SPDX-License-Identifier: Apache-2.0
"""What export writes: nothing in the graph that is not computed for an answer."""

from __future__ import annotations

import collections

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lightdepth_ros.engines import onnxruntime as engine  # noqa: E402
from lightdepth_ros.engines.golden import golden_image  # noqa: E402
from lightdepth_ros.engines.onnx_outputs import keep_outputs  # noqa: E402
from lightdepth_ros.mount import Mount, ground_map  # noqa: E402
from training import export  # noqa: E402
from training.model.graph_tidy import tidy  # noqa: E402
from training.students import STUDENTS  # noqa: E402
from training.students.interface import GroundEmbedding  # noqa: E402

pytestmark = pytest.mark.torch

NODES = {'plain': {'L': 64, 'XS': 49}, 'paper': {'L': 200, 'XS': 148}}
"""All that is there to compute; a larger number is a leftover."""
CASES = [(student, exit_name) for student in NODES for exit_name in NODES[student]]
NEVER = {
    *('Constant', 'Identity', 'Gather', 'Shape', 'ConstantOfShape'),
    *('Softmax', 'LogSoftmax', 'BatchNormalization', 'Dropout', 'Where', 'If', 'Loop', 'Pad'),
}
AT_MOST = {'Cast': 3, 'Transpose': 1, 'Slice': 2, 'Squeeze': 2, 'Exp': 3, 'ArgMax': 1}
"""The image to float, label and confidence to bytes; the two channels of the depth head."""


def untrained(name: str):
    """Return the inference form of a student with random weights, the ground's among them."""
    torch.manual_seed(0)
    student = STUDENTS[name](19, confidence=True).eval()
    for module in student.modules():
        if isinstance(module, GroundEmbedding):
            torch.nn.init.normal_(module.conv.weight)
    return export.inference_form(student)


@pytest.fixture(scope='module', params=CASES, ids='_'.join)
def exported(request):
    """(student, exit, bytes as exported, bytes as traced)."""
    student, exit_name = request.param
    graph = export.Graph(untrained(student).detach(exit_name)).eval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, 'tidy', lambda model: None)
        traced = export.onnx_bytes(graph)
    return student, exit_name, export.onnx_bytes(graph), traced


def kinds(data: bytes) -> collections.Counter[str]:
    return collections.Counter(node.op_type for node in onnx.load_from_string(data).graph.node)


@pytest.mark.slow
def test_exported_graph_has_no_leftovers_of_the_tracing(exported):
    student, exit_name, data, _ = exported
    found = kinds(data)
    assert set(found) & NEVER == set()
    assert {kind: found[kind] for kind in AT_MOST if found[kind] > AT_MOST[kind]} == {}
    assert sum(found.values()) <= NODES[student][exit_name]


@pytest.mark.slow
def test_tidying_changes_no_bit_of_any_answer(exported):
    _, _, data, traced = exported
    inputs = {'image': golden_image((64, 96)), 'ground': ground_map(None, Mount(0.5), (64, 96))}
    for outputs in (['depth', 'label', 'confidence'], ['depth']):
        found, before = (
            onnxruntime.InferenceSession(keep_outputs(model, outputs)).run(outputs, inputs)
            for model in (data, traced)
        )
        for one, other in zip(found, before, strict=True):
            np.testing.assert_array_equal(one, other)


def test_convolutions_keep_weights_of_their_own_under_their_names(exported):
    """training.quantize scales each layer apart, training.model.init_onnx reads them by layer."""
    graph = onnx.load_from_string(exported[2]).graph
    stored = {tensor.name for tensor in graph.initializer}
    weights = [node.input[1] for node in graph.node if node.op_type == 'Conv']
    assert len(set(weights)) == len(weights)
    assert set(weights) <= stored


@pytest.mark.parametrize('student', ['plain'])
def test_export_prints_the_number_of_nodes_of_the_file_it_wrote(student, tmp_path, capsys):
    net = untrained(student)
    trained = export.Trained(student, net, {})
    row = export.export_exit(trained, net, 'XS', tmp_path)
    export.print_report({'XS': row})
    (path,) = tmp_path.glob('*.onnx')
    nodes = len(onnx.load(path).graph.node)
    assert row['nodes'] == nodes
    header, line = (s for s in capsys.readouterr().out.splitlines() if 'nodes' in s or ' XS ' in s)
    column = [cell.strip() for cell in header.strip('┃').split('┃')].index('nodes')
    assert line.strip('│').split('│')[column].strip() == str(nodes)


def test_only_copies_are_dropped_and_outputs_keep_their_names():
    """A cast that changes the type stays, and so does whatever makes an output."""
    values = (
        numpy_helper.from_array(np.float32([2]), 'a'),
        numpy_helper.from_array(np.float32([2]), 'b'),
    )
    nodes = [
        helper.make_node('Identity', ['x'], ['copy']),
        helper.make_node('Cast', ['copy'], ['same'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['same', 'a'], ['twice']),
        helper.make_node('Mul', ['twice', 'b'], ['four']),
        helper.make_node('Cast', ['four'], ['bytes'], to=TensorProto.UINT8),
        helper.make_node('Identity', ['twice'], ['kept']),
        helper.make_node('Neg', ['twice'], ['dead']),
    ]
    rim = helper.make_tensor_value_info
    outputs = [rim('bytes', TensorProto.UINT8, [1]), rim('kept', TensorProto.FLOAT, [1])]
    graph = helper.make_graph(nodes, 'g', [rim('x', TensorProto.FLOAT, [1])], outputs, values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    tidy(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ['Mul', 'Mul', 'Cast', 'Identity']
    assert [tensor.name for tensor in model.graph.initializer] == ['a']
    answer = engine.plain_runner(model.SerializeToString(), 1, 'fp32')(np.float32([3]))
    assert [float(value[0]) for value in answer] == [12, 6]
