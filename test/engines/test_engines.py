# SPDX-License-Identifier: Apache-2.0
"""One suite for every engine: same inputs, same answers, same errors, nothing left behind.

TensorRT runs here against stand-ins for its library and for CUDA (test/fake_tensorrt.py), which
compute the very graph that would be built; with the marker `gpu` it runs for real.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from fake_tensorrt import FakeCuda, fake_trt
from tiny_model import make_tiny_model, tiny_outputs

from lightdepth_ros.camera import Camera
from lightdepth_ros.contract import EXIT_STRIDE, ModelContract, file_sha256, load_contract
from lightdepth_ros.engines import OUTPUTS, Engine, EngineRequest, load_engine, probe
from lightdepth_ros.errors import EngineError
from lightdepth_ros.mount import Mount, ground_map

Loader = Callable[[Path], Engine]

CASES = [
    'onnxruntime/fp32',
    'openvino/fp32',
    'openvino/bf16',
    'stand-in tensorrt/fp32',
    'stand-in tensorrt/fp16',
    pytest.param('tensorrt/fp32', marks=pytest.mark.gpu),
    pytest.param('tensorrt/fp16', marks=pytest.mark.gpu),
    pytest.param('tensorrt/bf16', marks=pytest.mark.gpu),
]


@pytest.fixture(params=CASES)
def case(request, tmp_path, monkeypatch) -> tuple[Loader, str]:
    """A function that loads a contract with one engine, and the engine's precision."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    backend, precision = request.param.split('/')
    if backend.startswith('stand-in'):
        return stand_in_loader(precision), precision
    try:
        probe(backend, precision)
    except EngineError as error:
        pytest.skip(str(error))
    return lambda path: load_engine(
        EngineRequest(path, backend, 1, precision=precision)
    ), precision


@pytest.fixture
def load(case) -> Loader:
    return case[0]


def stand_in_loader(precision: str) -> Loader:
    module = importlib.import_module('lightdepth_ros.engines.tensorrt')
    cuda = FakeCuda()
    libraries = module.Libraries(fake_trt(cuda), cuda)

    def load(path: Path) -> Engine:
        contract = load_contract(path)
        onnx_path = path.parent / contract.onnx_file
        request = EngineRequest(path, 'tensorrt', precision=precision)
        return module.load(contract, onnx_path, request, libraries)

    return load


def picture(height: int = 64, width: int = 96, seed: int = 0) -> np.ndarray:
    shape = (1, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize('exit_name', EXIT_STRIDE)
def test_engine_computes_the_model_at_every_exit(load, tmp_path, exit_name):
    engine = load(make_tiny_model(tmp_path, exit_name))
    image = picture()
    expected = tiny_outputs(image, EXIT_STRIDE[exit_name])
    found = engine.run(image)
    engine.close()
    assert set(found) == set(OUTPUTS)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, rtol=1e-6, err_msg=name)


def test_engine_tells_the_model_where_the_ground_is(case, tmp_path):
    load, precision = case
    engine = load(make_tiny_model(tmp_path, 'L', ground=True))
    image, camera = picture(), Camera.from_fov(96, 64, 60.0)
    for mount in (Mount(0.4, 12.0, 3.0), None, Mount(1.2, -5.0)):
        ground = ground_map(camera, mount, (64, 96))
        for outputs in (OUTPUTS, ('depth',), ('label',)):
            found = engine.run(image, outputs, ground)
            expected = tiny_outputs(image, 2, ground)
            assert set(found) == set(outputs)
            for name in outputs:
                tolerance = {'fp32': 1e-6, 'fp16': 2e-3, 'bf16': 2e-2}[precision]
                np.testing.assert_allclose(
                    found[name], expected[name], rtol=1e-6, atol=16 * tolerance, err_msg=name
                )
    engine.close()


@pytest.mark.parametrize(
    'ground',
    [
        None,
        np.zeros((1, 4, 4, 6)),
        np.zeros((1, 4, 6, 4), np.float32),
        np.zeros((1, 3, 4, 6), np.float32),
        np.zeros((4, 4, 6), np.float32),
    ],
    ids=['none', 'float64', 'height for width', 'three channels', 'no batch axis'],
)
def test_ground_map_of_another_kind_is_refused_and_the_next_one_works(load, tmp_path, ground):
    engine = load(make_tiny_model(tmp_path, 'L', ground=True))
    with pytest.raises(EngineError, match=r'takes \(1, 4, 4, 6\) float32.*ground_map makes it'):
        engine.run(picture(), ('label',), ground)
    engine.run(picture(), ('label',), np.zeros((1, 4, 4, 6), np.float32))
    engine.close()


def test_ground_map_for_a_model_that_takes_none_is_refused(load, tmp_path):
    engine = load(make_tiny_model(tmp_path, 'L'))
    with pytest.raises(EngineError, match='takes none'):
        engine.run(picture(), OUTPUTS, np.zeros((1, 4, 4, 6), np.float32))
    engine.close()


@pytest.mark.parametrize('outputs', [('depth',), ('label',), ('confidence', 'depth'), OUTPUTS])
def test_engine_returns_the_outputs_asked_for_and_no_others(load, tmp_path, outputs):
    engine = load(make_tiny_model(tmp_path, 'M'))
    image = picture()
    found = engine.run(image, outputs)
    engine.close()
    assert set(found) == set(outputs)
    for name in outputs:
        np.testing.assert_allclose(found[name], tiny_outputs(image, 4)[name], rtol=1e-6)


def test_engine_takes_images_of_other_sizes_in_any_order(load, tmp_path):
    engine = load(make_tiny_model(tmp_path, 'S'))
    for height, width in [(64, 96), (32, 64), (64, 96), (320, 480), (96, 32), (128, 32)]:
        image = picture(height, width)
        depth_m = engine.run(image, ('depth',))['depth']
        np.testing.assert_allclose(depth_m, tiny_outputs(image, 8)['depth'], rtol=1e-6)
    engine.close()


def test_results_belong_to_the_caller(load, tmp_path):
    engine = load(make_tiny_model(tmp_path, 'L'))
    first = engine.run(picture(seed=1))
    kept = {name: array.copy() for name, array in first.items()}
    second = engine.run(picture(seed=2))
    for name, array in kept.items():
        np.testing.assert_array_equal(first[name], array)
        second[name][...] = 0  # writable, and nobody else's
        np.testing.assert_array_equal(first[name], array)
    engine.close()


def test_image_that_does_not_change_gives_the_same_result_again(load, tmp_path):
    engine = load(make_tiny_model(tmp_path, 'L'))
    image = picture()
    first, second = engine.run(image), engine.run(image)
    engine.close()
    for name in OUTPUTS:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize(
    'image',
    [
        picture().astype(np.float32),
        picture()[..., :2],
        picture()[0],
        np.zeros((2, 64, 96, 3), np.uint8),
    ],
    ids=['float', 'two channels', 'no batch axis', 'two images'],
)
def test_image_of_another_kind_is_refused_and_the_next_one_works(load, tmp_path, image):
    engine = load(make_tiny_model(tmp_path, 'L'))
    with pytest.raises(EngineError, match=r'takes \(1, H, W, 3\) uint8'):
        engine.run(image)
    good = picture()
    np.testing.assert_allclose(
        engine.run(good)['depth'], tiny_outputs(good, 2)['depth'], rtol=1e-6
    )
    engine.close()


def test_image_that_is_a_strided_view_is_read_right(load, tmp_path):
    engine = load(make_tiny_model(tmp_path, 'L'))
    bgr = picture()
    flipped = bgr[..., ::-1]
    found = engine.run(flipped)['depth']
    engine.close()
    np.testing.assert_allclose(found, tiny_outputs(flipped, 2)['depth'], rtol=1e-6)


def test_closed_engine_says_so(load, tmp_path):
    engine = load(make_tiny_model(tmp_path, 'L'))
    engine.close()
    with pytest.raises(EngineError, match='closed'):
        engine.run(picture())


def test_engine_tells_backend_device_and_contract(load, tmp_path):
    path = make_tiny_model(tmp_path, 'L')
    engine = load(path)
    assert engine.contract == load_contract(path)
    assert engine.backend in ('onnxruntime', 'openvino', 'tensorrt')
    assert 'CPU' in engine.device or 'GPU' in engine.device or 'NVIDIA' in engine.device
    engine.close()


def test_engine_loaded_in_one_thread_runs_in_another(load, tmp_path):
    engine = load(make_tiny_model(tmp_path, 'L'))
    image, results = picture(), []
    worker = threading.Thread(target=lambda: results.append(engine.run(image)['depth']))
    worker.start()
    worker.join()
    engine.close()
    np.testing.assert_allclose(results[0], tiny_outputs(image, 2)['depth'], rtol=1e-6)


def test_two_engines_in_two_threads_do_not_disturb_each_other(load, tmp_path):
    engines = [load(make_tiny_model(tmp_path, 'L')) for _ in range(2)]
    wrong = []

    def work(engine: Engine, seed: int) -> None:
        image = picture(seed=seed)
        expected = tiny_outputs(image, 2)['depth']
        for _ in range(20):
            if not np.allclose(engine.run(image)['depth'], expected, rtol=1e-6):
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(e, i)) for i, e in enumerate(engines)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for engine in engines:
        engine.close()
    assert not wrong


def test_onnxruntime_engine_is_thread_safe_as_its_file_says(tmp_path):
    engine = load_engine(EngineRequest(make_tiny_model(tmp_path, 'L'), 'onnxruntime', 1))
    images = [picture(seed=seed) for seed in range(4)]
    found: list[list[np.ndarray]] = [[] for _ in images]

    def work(index: int) -> None:
        found[index] += [engine.run(images[index])['depth'] for _ in range(20)]

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(images))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for image, results in zip(images, found, strict=True):
        assert len(results) == 20
        for depth_m in results:
            np.testing.assert_allclose(depth_m, tiny_outputs(image, 2)['depth'], rtol=1e-6)


@pytest.mark.slow
def test_loading_and_closing_again_and_again_does_not_gather_memory(load, tmp_path):
    path = make_tiny_model(tmp_path, 'L')
    image = picture(320, 480)
    resident_mib = []
    for _ in range(10):
        engine = load(path)
        engine.run(image)
        engine.close()
        resident_mib.append(psutil.Process().memory_info().rss / 2**20)
    # One engine's buffers for this image are 2 MiB: six of them leaking would be 12 MiB or more.
    assert resident_mib[-1] - resident_mib[3] < 8, resident_mib


# The numbers: against PyTorch in float64.

TOLERANCE = {
    # precision: (largest relative difference of depth, share of equal labels, confidence steps)
    'fp32': (1e-4, 0.999, 1),
    'fp16': (0.02, 0.98, 4),
    'bf16': (0.25, 0.90, 32),
}
"""On noise through untrained networks, whose depths reach from 2 m to 500 m: trained ones and
photographs differ far less (see lightdepth_ros.engines.golden)."""


@pytest.mark.torch
@pytest.mark.parametrize(
    ('student', 'exit_name'), [('plain', 'L'), ('plain', 'XS'), ('paper', 'L')]
)
def test_engine_agrees_with_pytorch_in_float64(case, students, student, exit_name):
    load, precision = case
    path, image, ground, truth = students[student, exit_name]
    engine = load(path)
    found = engine.run(image, ground=ground)
    engine.close()
    depth_rel, labels, steps = TOLERANCE[precision]
    assert np.abs(found['depth'] / truth['depth'] - 1).max() <= depth_rel
    assert np.mean(found['label'] == truth['label']) >= labels
    apart = np.abs(found['confidence'].astype(int) - truth['confidence'].astype(int))
    assert apart.max() <= steps


@pytest.fixture(scope='module')
def students(tmp_path_factory):
    """(student, exit) -> contract, image, ground map, and PyTorch's answer to them in float64."""
    torch = pytest.importorskip('torch')
    from training import export
    from training.students import STUDENTS

    folder = tmp_path_factory.mktemp('students')
    torch.manual_seed(0)
    image = picture(64, 96, seed=3)
    ground = ground_map(Camera.from_fov(96, 64, 70.0), Mount(1.2, 2.0, -3.0), (64, 96))
    cases = {}
    for name in ('plain', 'paper'):
        student = STUDENTS[name](19, confidence=True).eval()
        if name == 'plain':
            student = student.reparameterised()
        for exit_name in ('L', 'XS') if name == 'plain' else ('L',):
            graph = export.Graph(student.detach(exit_name)).eval()
            onnx_path = folder / f'{name}_{exit_name}.onnx'
            onnx_path.write_bytes(export.onnx_bytes(graph))
            contract = ModelContract(
                student=name,
                exit=exit_name,
                onnx_file=onnx_path.name,
                onnx_sha256=file_sha256(onnx_path),
                canonical_focal_px=600.0,
                canonical_height_m=1.65,
                depth_range_m=(0.3, 200.0),
            )
            path = onnx_path.with_suffix('.json')
            path.write_text(contract.to_json(), encoding='utf-8')
            answer = in_float64(torch, graph, image, ground)
            cases[name, exit_name] = path, image, ground, answer
    return cases


def in_float64(torch, graph, image: np.ndarray, ground: np.ndarray) -> dict[str, np.ndarray]:
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(torch.Tensor, 'float', torch.Tensor.double)  # how the graph takes bytes
        arrays = graph.double()(torch.from_numpy(image), torch.from_numpy(ground).double())
    assert arrays[0].dtype == torch.float64
    return dict(zip(OUTPUTS, (a.numpy() for a in arrays), strict=True))


# Choosing an engine.


def test_unknown_backend_is_refused_with_the_known_ones(tmp_path):
    path = make_tiny_model(tmp_path, 'L')
    with pytest.raises(EngineError, match="'cuda'; it must be one of auto, onnxruntime, openvino"):
        load_engine(EngineRequest(path, 'cuda'))


@pytest.mark.parametrize(
    ('backend', 'precision', 'offered'),
    [('onnxruntime', 'fp16', 'fp32'), ('openvino', 'int8', 'fp32, bf16')],
)
def test_precision_a_backend_lacks_is_refused(tmp_path, backend, precision, offered):
    path = make_tiny_model(tmp_path, 'L')
    with pytest.raises(EngineError, match=f'{backend} offers {offered}'):
        load_engine(EngineRequest(path, backend, precision=precision))


@pytest.mark.parametrize(
    ('backend', 'missing', 'install'),
    [
        ('openvino', 'openvino', 'pip install openvino'),
        ('tensorrt', 'cuda', 'pip install tensorrt-rtx cuda-bindings onnx'),
    ],
)
def test_named_backend_without_its_library_names_the_install_line(
    tmp_path, monkeypatch, backend, missing, install
):
    import sys

    path = make_tiny_model(tmp_path, 'L')
    monkeypatch.delitem(sys.modules, f'lightdepth_ros.engines.{backend}', raising=False)
    for name in [n for n in sys.modules if n == missing or n.startswith(f'{missing}.')]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    for trt in ('tensorrt', 'tensorrt_rtx'):
        monkeypatch.setitem(sys.modules, trt, None)
    with pytest.raises(EngineError, match=install):
        load_engine(EngineRequest(path, backend))
    with pytest.raises(EngineError, match=install):
        probe(backend)
