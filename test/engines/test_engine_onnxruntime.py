# SPDX-License-Identifier: Apache-2.0
"""The ONNX Runtime engine: answers, subsets of outputs, and files that do not fit."""

import dataclasses
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_model import make_tiny_model, tiny_outputs

from lightdepth_ros.contract import EXIT_STRIDE, load_contract
from lightdepth_ros.engines import OUTPUTS, EngineRequest, onnxruntime
from lightdepth_ros.engines.onnx_outputs import keep_outputs
from lightdepth_ros.errors import EngineError

IMAGE = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
SUBSETS = [('depth',), ('label',), ('confidence', 'depth'), ('label', 'confidence', 'depth')]


@pytest.fixture
def model(tmp_path):
    path = make_tiny_model(tmp_path)
    return load_contract(path), path.with_suffix('.onnx')


def threads(count):
    return EngineRequest(Path('not read'), threads=count)


def load(model, **changes):
    contract, path = model
    return onnxruntime.load(dataclasses.replace(contract, **changes), path, threads(1))


def changed(path, change):
    """Save the model again after `change(graph)`."""
    proto = onnx.load(path)
    change(proto)
    onnx.save(proto, path)


@pytest.mark.parametrize('exit_name', list(EXIT_STRIDE))
def test_answers_are_the_models(tmp_path, exit_name):
    path = make_tiny_model(tmp_path, exit_name)
    engine = onnxruntime.load(load_contract(path), path.with_suffix('.onnx'), threads(2))
    answer = engine.run(IMAGE)
    for name, expected in tiny_outputs(IMAGE, EXIT_STRIDE[exit_name]).items():
        np.testing.assert_array_equal(answer[name], expected)
        assert answer[name].dtype == expected.dtype
        assert answer[name].flags.writeable


@pytest.mark.parametrize('outputs', SUBSETS)
def test_a_subset_gives_the_same_arrays_and_no_other(model, outputs):
    answer = load(model).run(IMAGE, outputs)
    assert tuple(answer) == outputs
    expected = tiny_outputs(IMAGE, 2)
    for name in outputs:
        np.testing.assert_array_equal(answer[name], expected[name])


@pytest.mark.parametrize('outputs', SUBSETS)
def test_a_subset_carries_no_node_that_only_others_need(model, outputs):
    cut = onnx.load_from_string(keep_outputs(model[1].read_bytes(), outputs))
    onnx.checker.check_model(cut)
    assert {o.name for o in cut.graph.output} == set(outputs)
    operators = [node.op_type for node in cut.graph.node]
    assert operators.count('Gather') == len(outputs)
    assert ('Mod' in operators) == ('label' in outputs)
    assert ('Mul' in operators) == ('depth' in outputs)
    used = {name for node in cut.graph.node for name in node.input}
    assert {tensor.name for tensor in cut.graph.initializer} <= used


def test_all_outputs_cut_to_an_equal_model(model):
    data = model[1].read_bytes()
    assert onnx.load_from_string(keep_outputs(data, OUTPUTS)) == onnx.load_from_string(data)


def test_what_inner_graphs_read_is_kept():
    inner = helper.make_graph(
        [helper.make_node('Neg', ['outer'], ['then'])],
        'then',
        [],
        [helper.make_tensor_value_info('then', TensorProto.FLOAT, [1])],
    )
    other = helper.make_graph(
        [], 'else', [], [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1])]
    )
    graph = helper.make_graph(
        [
            helper.make_node('Abs', ['x'], ['outer']),
            helper.make_node('Abs', ['x'], ['unused']),
            helper.make_node('If', ['flag'], ['y'], then_branch=inner, else_branch=other),
        ],
        'outer',
        [
            helper.make_tensor_value_info('x', TensorProto.FLOAT, [1]),
            helper.make_tensor_value_info('flag', TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1])],
    )
    cut = onnx.load_from_string(keep_outputs(helper.make_model(graph).SerializeToString(), ['y']))
    assert [node.output[0] for node in cut.graph.node] == ['outer', 'y']


@pytest.mark.parametrize('data', [b'\xff\xff\xff', b'\x3f', b'\x3a\x7f\x00'])
def test_cutting_what_is_no_model_is_an_error(data):
    with pytest.raises(ValueError, match=r'cut short|not an ONNX file'):
        keep_outputs(data, ['depth'])


def test_cutting_to_an_output_that_is_not_there_is_an_error(model):
    with pytest.raises(ValueError, match='disparity'):
        keep_outputs(model[1].read_bytes(), ['disparity'])


def test_the_engine_names_itself_and_its_device(model):
    engine = load(model)
    assert (engine.backend, engine.device) == ('onnxruntime', 'CPU')
    assert engine.session(OUTPUTS).get_providers() == ['CPUExecutionProvider']


def test_threads_are_those_asked_for_and_do_not_spin(model):
    contract, path = model
    options = onnxruntime.load(contract, path, threads(3)).session(OUTPUTS).get_session_options()
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry('session.intra_op.allow_spinning') == '0'


def test_threads_may_run_it_at_the_same_time(model):
    engine = load(model)
    images = [np.roll(IMAGE, shift, axis=2) for shift in range(8)]
    answers = [None] * len(images)

    def work(index):
        answers[index] = engine.run(images[index], ('depth',))['depth']

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(images))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for image, answer in zip(images, answers, strict=True):
        np.testing.assert_array_equal(answer, tiny_outputs(image, 2)['depth'])


def test_missing_file_is_named(model, tmp_path):
    with pytest.raises(EngineError, match=r'gone\.onnx'):
        onnxruntime.load(model[0], tmp_path / 'gone.onnx', threads(1))


@pytest.mark.parametrize('size', [0, 10, 300])
def test_file_cut_short_is_refused(model, size):
    contract, path = model
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(EngineError, match=r'cannot load|inputs and outputs'):
        onnxruntime.load(contract, path, threads(1))


def test_file_that_is_no_model_is_refused(model):
    contract, path = model
    path.write_bytes(b'<html>404 not found</html>' * 50)
    with pytest.raises(EngineError, match='damaged'):
        onnxruntime.load(contract, path, threads(1))


def test_another_output_name_is_refused(model):
    def rename(proto):
        proto.graph.output[0].name = proto.graph.node[5].output[0] = 'disparity'

    changed(model[1], rename)
    with pytest.raises(EngineError, match='disparity'):
        load(model)


def test_another_input_type_is_refused(model):
    def to_float(proto):
        proto.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT
        proto.graph.node.insert(
            0, helper.make_node('Cast', ['image'], ['bytes'], to=TensorProto.UINT8)
        )
        proto.graph.node[1].input[0] = 'bytes'

    changed(model[1], to_float)
    with pytest.raises(EngineError, match=r'tensor\(float\)'):
        load(model)


def test_contract_of_another_exit_is_refused(model):
    with pytest.raises(EngineError, match=r'exit M \(stride 4\)'):
        load(model, exit='M')


def test_labels_beyond_the_contracts_classes_are_refused(model):
    with pytest.raises(EngineError, match='7 classes'):
        load(model, classes=model[0].classes[:7])


def test_class_count_in_the_file_must_be_the_contracts(model):
    def declare(proto):
        helper.set_model_props(proto, {'class_count': '21'})

    changed(model[1], declare)
    with pytest.raises(EngineError, match='exported for 21 classes, its contract lists 19'):
        load(model)


def test_no_threads_are_refused(model):
    with pytest.raises(EngineError, match='threads is 0'):
        onnxruntime.load(*model, threads(0))


@pytest.mark.parametrize('image', [IMAGE.astype(np.float32), IMAGE[..., :2], IMAGE[:, 1:]])
def test_wrong_images_raise_and_the_engine_lives_on(model, image):
    engine = load(model)
    with pytest.raises(EngineError, match='multiples of 32'):
        engine.run(image)
    np.testing.assert_array_equal(engine.run(IMAGE)['depth'], tiny_outputs(IMAGE, 2)['depth'])


def test_a_closed_engine_says_so(model):
    engine = load(model)
    engine.close()
    with pytest.raises(EngineError, match='closed'):
        engine.run(IMAGE)


def test_8_bit_sums_are_exact_on_every_cpu(tmp_path):
    """Pairs of 255 x 127 leave 16 bits, where a CPU without an 8-bit dot product cuts them."""
    channels = 16
    taps = np.where(np.arange(channels) % 4 < 2, 127, -128).astype(np.int8)
    weights = np.broadcast_to(taps[None, :, None, None], (channels, channels, 3, 3)).copy()
    numbers = {
        'x_scale': np.float32(1),
        'x_zero': np.uint8(0),
        'w': weights,
        'w_scale': np.float32(1),
        'w_zero': np.int8(0),
        'y_scale': np.float32(512),
        'y_zero': np.uint8(128),
    }
    tensors = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in numbers.items()]
    node = helper.make_node('QLinearConv', ['x', *numbers], ['y'])
    shape = [1, channels, 8, 8]
    graph = helper.make_graph(
        [node], 'sums',
        [helper.make_tensor_value_info('x', TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info('y', TensorProto.UINT8, [1, channels, 6, 6])],
        tensors,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    run = onnxruntime.plain_runner(model.SerializeToString(), 1, 'fp32')
    image = np.full(shape, 255, np.uint8)
    image[:, 2::4] = 250
    image[:, 3::4] = 250
    exact = 9 * int((image[0, :, 0, 0].astype(int) * taps).sum())  # 9 taps of one value each
    np.testing.assert_array_equal(run(image)[0], round(exact / 512) + 128)


def test_sessions_ask_for_exact_8_bit_kernels(model):
    options = load(model).session(OUTPUTS).get_session_options()
    assert options.get_session_config_entry('session.x64quantprecision') == '1'
