# SPDX-License-Identifier: Apache-2.0
"""What is rewritten for OpenVINO computes the same as before, and only what it should is."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_model import make_tiny_model

from lightdepth_ros.contract import shipped_contract
from lightdepth_ros.engines import OUTPUTS, ground_shape
from lightdepth_ros.engines.golden import golden_image
from lightdepth_ros.mount import Mount, ground_map

ov = pytest.importorskip('openvino')

from lightdepth_ros.engines import openvino_graph as graph  # noqa: E402

HW = (64, 96)
CASES = [('plain', 'L'), ('plain', 'XS'), ('paper', 'M')]


def read(path, hw=HW):
    model = ov.Core().read_model(path.with_suffix('.onnx'))
    shapes = {'image': [1, *hw, 3]}
    if len(model.inputs) > 1:
        shapes['ground'] = list(ground_shape(hw))
    model.reshape(shapes)
    return model


def answer(model, image) -> dict[str, np.ndarray]:
    """Compute in float32 on one thread, whatever the CPU has."""
    options = {'INFERENCE_PRECISION_HINT': 'f32', 'INFERENCE_NUM_THREADS': 1}
    hw = image.shape[1:3]
    inputs = {'image': image, 'ground': ground_map(None, Mount(0.5), hw)}
    names = [value.get_any_name() for value in model.inputs]
    compiled = ov.Core().compile_model(model, 'CPU', options)
    found = compiled({name: inputs[name] for name in names})
    return {name: found[name] for name in OUTPUTS}


def convolutions(model) -> list[list[int]]:
    """The shapes of the kernels, in the order of computation, of what more than a ShapeOf reads:
    that is folded when the model is compiled."""
    nodes = [n for n in model.get_ordered_ops() if n.get_type_name() == 'Convolution']
    return [
        list(node.input_value(1).get_shape())
        for node in nodes
        if {t.get_node().get_type_name() for t in node.output(0).get_target_inputs()} - {'ShapeOf'}
    ]


@pytest.fixture(params=CASES, ids='_'.join)
def path(request):
    return shipped_contract(*request.param)


@pytest.mark.slow
@pytest.mark.parametrize('change', [graph.pair_pixels, graph.merge_heads, graph.flatten_argmax])
@pytest.mark.parametrize('hw', [HW, (32, 32)])
def test_no_rewriting_changes_an_answer(change, hw, path):
    """Float sums in another order: depth within 1e-5; borders are where padding would go wrong."""
    image = golden_image(hw)
    model = read(path, hw)
    before = answer(model, image)
    change(model)
    model.validate_nodes_and_infer_types()
    after = answer(model, image)
    np.testing.assert_allclose(after['depth'], before['depth'], rtol=1e-5)
    assert np.mean(after['label'] == before['label']) >= 0.999
    assert np.abs(after['confidence'].astype(int) - before['confidence']).max() <= 1


def test_first_convolution_reads_pairs_of_pixels(path):
    model = read(path)
    before = convolutions(model)
    graph.pair_pixels(model)
    after = convolutions(model)
    assert before[0][1:] == [3, 3, 3]
    assert [before[0][0], 6, 3, 2] in after
    assert before[0] not in after
    assert len(after) == len(before)


def test_heads_become_one_and_nothing_else_does(path):
    model = read(path)
    before = convolutions(model)
    graph.merge_heads(model)
    after = convolutions(model)
    assert len(after) == len(before) - 1
    assert [kernel[0] for kernel in after].count(2 + 19) == 1


def test_depth_alone_still_pays_nothing_for_the_classes(path):
    whole = read(path)
    depth = ov.Model([whole.output('depth').get_node()], whole.get_parameters(), 'depth')
    before = convolutions(depth)
    graph.rewrite(depth, 'bf16')
    after = convolutions(depth)
    assert len(after) == len(before)
    assert {2} == {kernel[0] for kernel in after if kernel[0] in (2, 19, 21)}


def test_in_float32_only_the_argmax_is_rewritten(path):
    model = read(path)
    before = convolutions(model)
    graph.rewrite(model, 'fp32')
    assert convolutions(model) == before
    topk = next(n for n in model.get_ops() if n.get_type_name() == 'TopK')
    assert len(topk.input_value(0).get_shape()) == 3


def test_a_model_of_another_make_is_left_as_it_is(tmp_path):
    model = read(make_tiny_model(tmp_path))
    image = golden_image(HW)
    before = answer(model, image)
    kinds = [node.get_type_name() for node in model.get_ordered_ops()]
    graph.rewrite(model, 'bf16')
    assert [node.get_type_name() for node in model.get_ordered_ops()] == kinds
    for name, array in answer(model, image).items():
        np.testing.assert_array_equal(array, before[name])
