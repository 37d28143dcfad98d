# SPDX-License-Identifier: Apache-2.0
"""The TensorRT path: the graph handed over, real engines built with tensorrt_rtx, and our code
around the library, run against stand-ins (test/fake_tensorrt.py)."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from fake_tensorrt import UNREADABLE, FakeCuda, fake_trt
from tiny_model import make_tiny_model, tiny_outputs

from lightdepth_ros.contract import EXIT_STRIDE, load_contract, shipped_contract
from lightdepth_ros.engines import OUTPUTS, EngineRequest
from lightdepth_ros.engines import tensorrt_build as building
from lightdepth_ros.engines.cache import cache_dir, entries, get_or_build
from lightdepth_ros.engines.tensorrt import Libraries, load
from lightdepth_ros.engines.tensorrt_build import cached_plan, plan_key, telling_progress
from lightdepth_ros.errors import EngineError

onnx = pytest.importorskip('onnx')
ort = pytest.importorskip('onnxruntime')

from lightdepth_ros.engines import tensorrt_graph  # noqa: E402 - needs onnx

HW = (64, 96)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def picture(hw=HW) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (1, *hw, 3), dtype=np.uint8)


# A network small enough for a test, with everything the students have: a uint8 image moved about
# before it is cast, convolutions, an upsampling, a sum, an argmax, an exp.


def small_network(path, channels=8) -> None:
    rng = np.random.default_rng(1)
    h = onnx.helper

    def weights(name, *shape):
        values = rng.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
        return onnx.numpy_helper.from_array(values, name)

    constants = [
        weights('w1', channels, 3, 3, 3),
        weights('b1', channels),
        weights('w2', channels, channels, 3, 3),
        weights('b2', channels),
        weights('wd', 2, channels, 1, 1),
        weights('ws', 19, channels, 1, 1),
        onnx.numpy_helper.from_array(np.float32(1 / 128), 'scale'),
        onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), 'scales'),
        onnx.numpy_helper.from_array(np.array(0), 'zero'),
        onnx.numpy_helper.from_array(np.array(1), 'one'),
        onnx.numpy_helper.from_array(np.float32(100), 'hundred'),
    ]
    n = h.make_node
    half = {'kernel_shape': [3, 3], 'pads': [1, 1, 1, 1], 'strides': [2, 2]}
    nodes = [
        n('Transpose', ['image'], ['chw'], perm=[0, 3, 1, 2]),
        n('Cast', ['chw'], ['float'], to=onnx.TensorProto.FLOAT),
        n('Mul', ['float', 'scale'], ['x']),
        n('Conv', ['x', 'w1', 'b1'], ['c1'], **half),
        n('Relu', ['c1'], ['r1']),
        n('Conv', ['r1', 'w2', 'b2'], ['c2'], **half),
        n('Relu', ['c2'], ['r2']),
        n('Resize', ['r2', '', 'scales'], ['up'], mode='nearest', nearest_mode='floor',
          coordinate_transformation_mode='asymmetric'),
        n('Add', ['up', 'r1'], ['sum']),
        n('Conv', ['sum', 'wd'], ['g']),
        n('Conv', ['sum', 'ws'], ['logits']),
        n('Gather', ['g', 'zero'], ['g0'], axis=1),
        n('Gather', ['g', 'one'], ['g1'], axis=1),
        n('Exp', ['g0'], ['depth']),
        n('ArgMax', ['logits'], ['argmax'], axis=1, keepdims=0),
        n('Cast', ['argmax'], ['label'], to=onnx.TensorProto.UINT8),
        n('Sigmoid', ['g1'], ['chance']),
        n('Mul', ['chance', 'hundred'], ['percent']),
        n('Cast', ['percent'], ['confidence'], to=onnx.TensorProto.UINT8),
    ]  # fmt: skip
    info, types = h.make_tensor_value_info, onnx.TensorProto
    graph = h.make_graph(
        nodes,
        'small',
        [info('image', types.UINT8, [1, 'H', 'W', 3])],
        [
            info('depth', types.FLOAT, [1, 'h', 'w']),
            info('label', types.UINT8, [1, 'h', 'w']),
            info('confidence', types.UINT8, [1, 'h', 'w']),
        ],
        constants,
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, path)


@pytest.fixture
def network(tmp_path):
    path = tmp_path / 'small.onnx'
    small_network(path)
    return path


def run(model: bytes | str, image: np.ndarray, names=OUTPUTS) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(model)
    return dict(zip(names, session.run(list(names), {'image': image}), strict=True))


@pytest.mark.parametrize(('precision', 'relative'), [('fp32', 1e-6), ('fp16', 5e-3)])
def test_graph_for_tensorrt_computes_what_the_file_does(network, precision, relative):
    image = picture()
    truth = run(str(network), image)
    found = run(tensorrt_graph.prepare(network, HW, OUTPUTS, precision), image)
    np.testing.assert_allclose(found['depth'], truth['depth'], rtol=relative)
    assert np.mean(found['label'] == truth['label']) > (0.999 if precision == 'fp32' else 0.98)
    assert np.abs(found['confidence'].astype(int) - truth['confidence']).max() <= 1


def test_uint8_is_cast_at_the_rim_only(network):
    graph = onnx.load_from_string(tensorrt_graph.prepare(network, HW, OUTPUTS, 'fp32')).graph
    assert [v.type.tensor_type.elem_type for v in graph.output] == [1, 2, 2]
    readers = [n for n in graph.node if 'image' in n.input]
    assert [n.op_type for n in readers] == ['Cast']
    for name in ('label', 'confidence'):
        cast = next(n for n in graph.node if name in n.output)
        before = next(n for n in graph.node if cast.input[0] in n.output)
        assert (cast.op_type, before.op_type) == ('Cast', 'Cast')


def test_size_is_fixed_and_other_outputs_cost_nothing(network):
    model = onnx.load_from_string(tensorrt_graph.prepare(network, HW, ('depth',), 'fp32'))
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert [d.dim_value for d in dims] == [1, 64, 96, 3]
    assert [v.name for v in model.graph.output] == ['depth']
    kinds = {n.op_type for n in model.graph.node}
    assert not kinds & {'ArgMax', 'Sigmoid'}
    assert 'ws' not in {t.name for t in model.graph.initializer}


@pytest.mark.parametrize(('precision', 'element'), [('fp16', 10), ('bf16', 16)])
def test_convolutions_are_lowered_and_the_exponential_is_not(network, precision, element):
    model = onnx.load_from_string(tensorrt_graph.prepare(network, HW, OUTPUTS, precision))
    constants = {t.name: t for t in model.graph.initializer}
    assert constants.keys() <= {name for node in model.graph.node for name in node.input}
    produced = {o: n for n in model.graph.node for o in n.output}
    for node in model.graph.node:
        if node.op_type == 'Conv':
            for name in node.input[1:]:
                assert constants[name].data_type == element
        if node.op_type == 'Resize':
            assert constants[node.input[2]].data_type == onnx.TensorProto.FLOAT
        if node.op_type in ('Exp', 'ArgMax'):
            above = produced[node.input[0]]
            above = above if above.op_type == 'Cast' else produced[above.input[0]]
            assert above.op_type == 'Cast'
            assert above.attribute[0].i == onnx.TensorProto.FLOAT


def test_bfloat16_is_rounded_to_nearest_even():
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, -1.00391, 3.0e38], np.float32)
    tensor = onnx.numpy_helper.from_array(values, 'v')
    raw = tensorrt_graph._converted(tensor, 'w', onnx.TensorProto.BFLOAT16).raw_data
    back = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
    np.testing.assert_array_equal(back[:3], [1.0, 1.0, 1 + 2**-6])
    np.testing.assert_allclose(back, values, rtol=2**-8)


# Real engines: tensorrt_rtx builds without a GPU.


@pytest.fixture
def rtx():
    return pytest.importorskip(
        'tensorrt_rtx', reason='no tensorrt_rtx for this machine: see requirements/test.txt'
    )


def described(trt, model: bytes) -> dict[str, tuple[str, tuple[int, ...]]]:
    """What TensorRT's parser makes of the network's rim: name -> (type, shape)."""
    log = building.make_logger(trt)
    network = trt.Builder(log).create_network(building._network_flags(trt))
    parser = trt.OnnxParser(network, log)
    assert parser.parse(model), [str(parser.get_error(i)) for i in range(parser.num_errors)]
    rim = [network.get_input(i) for i in range(network.num_inputs)]
    rim += [network.get_output(i) for i in range(network.num_outputs)]
    return {t.name: (t.dtype.name, tuple(t.shape)) for t in rim}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('student', 'precision'),
    [('plain', 'fp32'), ('plain', 'fp16'), ('plain', 'bf16'), ('paper', 'fp16')],
)
def test_all_four_exits_really_build_with_tensorrt_rtx(rtx, student, precision):
    sizes = []
    for name in EXIT_STRIDE:
        path = shipped_contract(student, name).with_suffix('.onnx')
        model = tensorrt_graph.prepare(path, (320, 480), OUTPUTS, precision)
        h, w = 320 // EXIT_STRIDE[name], 480 // EXIT_STRIDE[name]
        takes_ground = load_contract(shipped_contract(student, name)).takes_ground
        ground = {'ground': ('FLOAT', (1, 4, 20, 30))} if takes_ground else {}
        assert described(rtx, model) == ground | {
            'image': ('UINT8', (1, 320, 480, 3)),
            'depth': ('FLOAT', (1, h, w)),
            'label': ('UINT8', (1, h, w)),
            'confidence': ('UINT8', (1, h, w)),
        }
        plan = building.build_engine(rtx, model, precision, '8.9', lambda line: None)
        sizes.append(len(plan))
    assert sizes == sorted(sizes, reverse=True)  # each exit holds all coarser ones
    assert sizes[-1] > 300_000  # the weights are in it: 0.25 M at exit XS


@pytest.mark.slow
def test_small_network_builds_for_every_capability_tensorrt_rtx_names(rtx, network):
    model = tensorrt_graph.prepare(network, HW, OUTPUTS, 'fp16')
    built = []
    for name in sorted(k for k in dir(rtx.ComputeCapability) if k.startswith('SM')):
        capability = f'{name[2:-1]}.{name[-1]}'
        assert building.build_engine(rtx, model, 'fp16', capability, lambda line: None)
        built.append(capability)
    assert {'7.5', '8.6', '8.9', '12.0'} <= set(built)


def test_real_engine_goes_through_the_cache_once(rtx, network, tmp_path):
    contract = load_contract(make_tiny_model(tmp_path / 'tiny', 'L'))  # only its fields are used
    key = plan_key(rtx, contract, 'fp16', HW, ('depth',), '8.9')
    lines: list[str] = []
    first = cached_plan(rtx, network, key, lines.append, cross=True)
    assert any('done in' in line for line in lines)
    lines.clear()
    assert cached_plan(rtx, network, key, lines.append, cross=True) == first
    assert lines == []
    assert [e.key for e in entries()] == [key]


@pytest.mark.slow
def test_other_threads_go_on_while_an_engine_is_built(rtx):
    """Frames must be served meanwhile, so the library has to let go of Python."""
    path = shipped_contract('paper', 'L').with_suffix('.onnx')
    model = tensorrt_graph.prepare(path, (320, 480), OUTPUTS, 'fp16')
    plans: list[bytes] = []

    def build() -> None:
        plans.append(building.build_engine(rtx, model, 'fp16', '8.9', lambda line: None))

    thread = threading.Thread(target=build)
    started_s = last_s = time.monotonic()
    thread.start()
    longest_s = 0.0
    while thread.is_alive():
        time.sleep(0.001)
        now_s = time.monotonic()
        longest_s, last_s = max(longest_s, now_s - last_s), now_s
    assert plans
    assert longest_s < 0.5 * (last_s - started_s)  # held all the time, it would be all of it


def test_unknown_capability_is_refused_with_the_known_ones(rtx, network):
    model = tensorrt_graph.prepare(network, HW, ('depth',), 'fp32')
    with pytest.raises(EngineError, match=r"'6\.1'.*SM75"):
        building.build_engine(rtx, model, 'fp32', '6.1', lambda line: None)


def test_model_tensorrt_cannot_read_is_an_error_in_its_own_words(rtx):
    with pytest.raises(EngineError, match='cannot read the network'):
        building.build_engine(rtx, b'no onnx', 'fp32', '8.9', lambda line: None)


# Our code around the library.


class StandIn:
    """One fake GPU with a fake TensorRT, and the tiny model to run there."""

    def __init__(self, folder, version='11.0.0', **cuda_options) -> None:
        self.cuda = FakeCuda(**cuda_options)
        self.trt = fake_trt(self.cuda, version=version)
        self.path = make_tiny_model(folder, 'M')
        self.contract = load_contract(self.path)
        self.lines: list[str] = []

    def load(self, precision='fp16'):
        return load(
            self.contract,
            self.path.parent / self.contract.onnx_file,
            EngineRequest(self.path, 'tensorrt', 1, precision, HW, self.lines.append),
            Libraries(self.trt, self.cuda),
        )


def test_frames_go_through_one_cuda_graph(tmp_path):
    machine = StandIn(tmp_path)
    engine = machine.load()
    queued = len(machine.cuda.calls)
    for seed in range(3):
        image = np.random.default_rng(seed).integers(0, 256, (1, *HW, 3), dtype=np.uint8)
        found = engine.run(image)
        for name, array in tiny_outputs(image, 4).items():
            np.testing.assert_allclose(found[name], array, rtol=1e-3, err_msg=name)
    assert machine.cuda.graph_launches == 3
    assert len(machine.cuda.calls) == queued  # nothing went to the stream one by one
    engine.close()


def test_engine_that_cannot_be_captured_runs_all_the_same_and_says_so(tmp_path):
    machine = StandIn(tmp_path, can_capture=False)
    engine = machine.load()
    image = picture()
    np.testing.assert_allclose(engine.run(image)['depth'], tiny_outputs(image, 4)['depth'])
    assert machine.cuda.graph_launches == 0
    assert machine.cuda.calls[-5:] == ['copy 1', 'enqueue', 'copy 2', 'copy 2', 'copy 2']
    assert any('without a CUDA graph' in line for line in machine.lines)
    engine.close()


def test_depth_alone_runs_a_plan_that_copies_depth_alone(tmp_path):
    machine = StandIn(tmp_path, can_capture=False)
    engine = machine.load()
    machine.cuda.calls.clear()
    engine.run(picture(), ('depth',))
    assert machine.cuda.calls == ['copy 1', 'enqueue', 'copy 2']
    engine.close()


def test_everything_on_the_gpu_is_freed(tmp_path):
    machine = StandIn(tmp_path)
    engine = machine.load()
    for height in (64, 96, 128, 160, 192):  # more sizes than are kept
        engine.run(picture((height, 96)))
    assert machine.cuda.live
    engine.close()
    assert machine.cuda.live == {}


def test_second_start_reads_the_cache_and_builds_nothing(tmp_path):
    machine = StandIn(tmp_path)
    machine.load().close()
    assert machine.trt.builds == 2  # all outputs, and depth alone
    machine.load().close()
    assert machine.trt.builds == 2
    assert len(entries()) == 2


def test_new_tensorrt_version_builds_again(tmp_path):
    machine = StandIn(tmp_path)
    machine.load().close()
    machine.trt.__version__ = '11.1.0'
    machine.load().close()
    assert machine.trt.builds == 4


def test_cached_engine_that_tensorrt_will_not_load_is_built_again(tmp_path):
    machine = StandIn(tmp_path)
    machine.load().close()
    for entry in entries():
        entry.path.unlink()
        get_or_build(entry.key, lambda: UNREADABLE, lambda line: None)
    engine = machine.load()
    assert machine.trt.builds == 4
    assert any('version mismatch' in line and 'again' in line for line in machine.lines)
    image = picture()
    np.testing.assert_allclose(engine.run(image)['depth'], tiny_outputs(image, 4)['depth'])
    engine.close()


def test_cached_engine_of_another_model_is_caught_by_its_sizes(tmp_path):
    machine = StandIn(tmp_path)
    machine.load().close()
    other = make_tiny_model(tmp_path / 'other', 'S')
    wrong = tensorrt_graph.prepare(other.with_suffix('.onnx'), HW, OUTPUTS, 'fp32')
    for entry in entries():
        entry.path.unlink()
        get_or_build(entry.key, lambda: wrong, lambda line: None)
    machine.load().close()
    assert any('were expected' in line for line in machine.lines)
    assert machine.trt.builds == 4


def test_old_tensorrt_is_allowed_the_types_it_needs(tmp_path):
    machine = StandIn(tmp_path, version='8.6.1')
    machine.load(precision='fp16').close()
    assert machine.trt.flags == {'FP16'}  # and TF32 cleared
    machine.load(precision='fp32').close()
    assert machine.trt.flags == set()
    with pytest.raises(EngineError, match=r'bf16.*does not offer'):
        machine.load(precision='bf16')


def test_new_tensorrt_gets_no_precision_flags(tmp_path):
    machine = StandIn(tmp_path)
    machine.load(precision='fp16').close()
    assert machine.trt.flags == set()


def test_no_gpu_is_an_error_with_the_remedy(tmp_path):
    machine = StandIn(tmp_path, gpus=0)
    with pytest.raises(EngineError, match='nvidia-smi'):
        machine.load()
    assert machine.cuda.live == {}


def test_gpu_that_runs_out_of_memory_frees_what_it_got(tmp_path, monkeypatch):
    machine = StandIn(tmp_path)
    plenty = machine.cuda.cudaMalloc
    given = []

    def scarce(size):
        given.append(size)
        return plenty(size) if len(given) < 3 else (2, 0)

    monkeypatch.setattr(machine.cuda, 'cudaMalloc', scarce)
    with pytest.raises(EngineError, match='cudaMalloc failed with error 2'):
        machine.load()
    assert machine.cuda.live == {}


def test_cross_building_needs_tensorrt_rtx(tmp_path):
    machine = StandIn(tmp_path)
    key = plan_key(machine.trt, machine.contract, 'fp16', HW, ('depth',), '8.7')
    with pytest.raises(EngineError, match='GPU of this machine only'):
        cached_plan(
            machine.trt,
            machine.path.parent / machine.contract.onnx_file,
            key,
            machine.lines.append,
            cross=True,
        )
    assert not list(cache_dir().glob('*.engine'))


def test_long_build_is_reported_while_it_goes_on(monkeypatch):
    monkeypatch.setattr(building, 'REPORT_S', 0.02)
    lines: list[str] = []
    with telling_progress(lines.append, 'building'):
        time.sleep(0.15)
    assert lines[0] == 'building'
    assert sum('so far' in line for line in lines) >= 3
    assert 'done in' in lines[-1]
