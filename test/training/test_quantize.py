# SPDX-License-Identifier: Apache-2.0
"""Quantising an exported student: what is quantised, how much it costs, who can read it."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import random
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip('torch')
onnx = pytest.importorskip('onnx')

from lightdepth_ros.bench.timing import Case  # noqa: E402
from lightdepth_ros.contract import ModelContract, file_sha256, load_contract  # noqa: E402
from lightdepth_ros.engines import (  # noqa: E402
    OUTPUTS,
    EngineRequest,
    cpu,
    load_engine,
)
from lightdepth_ros.engines.checked import load_checked  # noqa: E402
from lightdepth_ros.engines.golden import golden_ground, golden_image  # noqa: E402
from lightdepth_ros.errors import DataError  # noqa: E402
from training import export, precision, quantize  # noqa: E402
from training.students.plain import PlainStudent  # noqa: E402

pytestmark = pytest.mark.torch
HW = (96, 160)


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    """A folder of four camera images: the golden one at other sizes and brightnesses."""
    cv2 = pytest.importorskip('cv2')
    folder = tmp_path_factory.mktemp('frames')
    for index, (height, width) in enumerate([(96, 160), (120, 160), (200, 320), (96, 128)]):
        image = golden_image((height, width))[0] // (1 + index % 2)
        cv2.imwrite(str(folder / f'{index}.png'), image[..., ::-1])
    return folder


@pytest.fixture(scope='module')
def student(tmp_path_factory):
    """The contract of an untrained plain student at exit M, which takes 160x96."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('student')
    net = PlainStudent(19, confidence=True).eval().reparameterised().detach('M')
    path = folder / 'lightdepth_plain_M.onnx'
    path.write_bytes(export.onnx_bytes(export.Graph(net).eval()))
    contract = ModelContract(
        student='plain',
        exit='M',
        onnx_file=path.name,
        onnx_sha256=file_sha256(path),
        canonical_focal_px=600.0,
        canonical_height_m=1.65,
        depth_range_m=(0.3, 200.0),
        input_hw=HW,
    )
    path.with_suffix('.json').write_text(contract.to_json(), encoding='utf-8')
    return path.with_suffix('.json')


@pytest.fixture(scope='module', params=['cpu', 'tensorrt'])
def quantised(request, student, frames, tmp_path_factory):
    out = tmp_path_factory.mktemp('out')
    return request.param, quantize.quantize(student, frames, out, 4, request.param)


def test_quantised_file_answers_nearly_as_before(student, quantised):
    image = golden_image(HW)
    ground = golden_ground(load_contract(student), HW)
    before = load_engine(EngineRequest(student)).run(image, ground=ground)
    after = load_engine(EngineRequest(quantised[1])).run(image, ground=ground)
    # An untrained network's depths span a factor of 100, so its errors are judged by that span.
    apart = np.abs(np.log(after['depth'] / before['depth']))
    span = np.log(before['depth']).std()
    assert 0 < np.median(apart) < 0.15 * span
    pair = np.log(after['depth']).ravel(), np.log(before['depth']).ravel()
    assert np.corrcoef(*pair)[0, 1] > 0.97
    assert np.mean(after['label'] == before['label']) > 0.85


def test_contract_says_what_it_is_and_whence_it_came(student, quantised):
    before, after = load_contract(student), load_contract(quantised[1])
    assert after.training['precision'] == 'int8'
    assert after.training['quantised_from'] == before.onnx_sha256
    assert quantised[0] in after.training['calibration']
    assert after.onnx_sha256 != before.onnx_sha256
    assert (after.exit, after.input_hw) == (before.exit, before.input_hw)


def test_first_convolution_and_heads_stay_float_and_the_rest_does_not(quantised):
    contract = load_contract(quantised[1])
    model = onnx.load(quantised[1].parent / contract.onnx_file)
    produced = {o: n for n in model.graph.node for o in n.output}
    kinds = []
    for node in model.graph.node:
        if node.op_type == 'Conv':
            source = produced.get(node.input[1])
            kinds.append('int8' if source is not None else 'float')
    assert kinds[:3] == ['float'] * 3  # of the image, and of the ground map at two scales
    assert kinds[-2:] == ['float', 'float']
    assert set(kinds[3:-2]) == {'int8'}
    assert len(kinds) >= 12


def test_calibration_feeds_a_ground_map_of_known_and_of_unknown_mounts(student, frames):
    contract = load_contract(student)
    inputs = list(quantize.calibration_inputs(frames, contract, 4)) * 3
    assert [i['image'].shape for i in inputs[:4]] == [(1, *HW, 3)] * 4
    rng = random.Random(1)
    maps = [quantize.calibration_ground(HW, rng) for _ in range(60)]
    assert maps[0].shape == inputs[0]['ground'].shape == (1, 4, 6, 10)
    known = np.mean([cells[0, 3].any() for cells in maps])
    assert 0.5 < known < 0.85
    without = dataclasses.replace(contract, canonical_height_m=None)
    assert set(next(quantize.calibration_inputs(frames, without, 1))) == {'image'}


def test_what_reads_an_input_stays_float_and_the_rest_does_not():
    nodes = [
        onnx.helper.make_node('Cast', ['image'], ['float'], 'cast', to=1),
        onnx.helper.make_node('Conv', ['float', 'w'], ['a'], 'first'),
        onnx.helper.make_node('AveragePool', ['ground'], ['pooled'], 'pool', kernel_shape=[2, 2]),
        onnx.helper.make_node('Conv', ['pooled', 'w'], ['g'], 'embedding'),
        onnx.helper.make_node('Add', ['a', 'g'], ['told'], 'tell'),
        onnx.helper.make_node('Conv', ['told', 'w'], ['b'], 'body'),
        onnx.helper.make_node('Conv', ['b', 'w'], ['c'], 'head'),
        onnx.helper.make_node('Exp', ['c'], ['depth'], 'exp'),
    ]
    inputs = [onnx.helper.make_tensor_value_info(n, 1, None) for n in ('image', 'ground')]
    graph = onnx.helper.make_graph(nodes, 'g', inputs, [])
    model = onnx.helper.make_model(graph)
    assert set(quantize.kept_in_float(model)) == {'first', 'embedding', 'head'}


def test_weights_shrink_to_a_quarter(student, quantised):
    before = student.parent / load_contract(student).onnx_file
    after = quantised[1].parent / load_contract(quantised[1]).onnx_file
    assert after.stat().st_size < 0.4 * before.stat().st_size


def test_openvino_agrees_with_onnxruntime_on_a_file_for_cpus(quantised):
    pytest.importorskip('openvino')
    target, path = quantised
    if target != 'cpu':
        pytest.skip('promised for CPUs only; the golden frame decides over others')
    engine, verdict = load_checked(EngineRequest(path, 'openvino'))
    assert verdict.passed, verdict.text
    assert 'openvino int8' in verdict.text
    engine.close()


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != 'x86_64', reason='the cap is for x86 instructions')
@pytest.mark.parametrize('isa', ['AVX2', 'AVX512_CORE'])
def test_without_dot_product_files_for_cpus_are_right_and_others_refused(quantised, isa):
    pytest.importorskip('openvino')
    target, path = quantised
    words = ['engine', 'check', '--model', str(path), '--backend', 'openvino']
    done = subprocess.run(
        [sys.executable, '-m', 'lightdepth_ros.cli', *words],
        env=os.environ | {cpu.CAP: isa},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'no 8-bit dot product' in done.stdout, done.stderr
    assert ('pass' if target == 'cpu' else 'FAIL') in done.stdout
    assert done.returncode == (0 if target == 'cpu' else 1)


def test_no_sum_of_two_products_for_a_cpu_leaves_16_bits(quantised):
    target, path = quantised
    model = onnx.load(path.parent / load_contract(path).onnx_file)
    weights = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer]
    kernels = [w.astype(int) for w in weights if w.dtype == np.int8 and w.ndim == 4]
    largest = max(int(abs(kernel).max()) for kernel in kernels)
    assert largest == (64 if target == 'cpu' else 127)
    assert (2 * 255 * largest < 2**15) is bool(target == 'cpu')


def test_tensorrt_builds_the_file_made_for_it(quantised):
    trt = pytest.importorskip(
        'tensorrt_rtx', reason='no tensorrt_rtx for this machine: see requirements/test.txt'
    )
    from lightdepth_ros.engines.tensorrt_build import build_engine
    from lightdepth_ros.engines.tensorrt_graph import prepare

    target, path = quantised
    if target != 'tensorrt':
        pytest.skip('unsigned activations are for CPUs')
    onnx_path = path.parent / load_contract(path).onnx_file
    model = prepare(onnx_path, HW, OUTPUTS, 'fp16')
    assert len(build_engine(trt, model, 'fp16', '8.9', lambda line: None)) > 100_000


def test_folder_without_images_is_an_error(student, tmp_path):
    with pytest.raises(DataError, match='no picture'):
        list(quantize.calibration_inputs(tmp_path, load_contract(student), 4))


def test_command_writes_the_model_and_names_mistakes(student, frames, tmp_path, capsys):
    words = [str(student), '--count', '2', '--out', str(tmp_path)]
    assert quantize.main([*words, '--frames', str(frames)]) == 0
    path = tmp_path / 'lightdepth_plain_M.json'
    assert str(path) in capsys.readouterr().out
    assert json.loads(path.read_text(encoding='utf-8'))['onnx_file'] == path.stem + '.onnx'
    assert [p.suffix for p in sorted(tmp_path.iterdir())] == ['.json', '.onnx']
    assert quantize.main([*words, '--frames', str(tmp_path)]) == 2
    assert 'no picture' in capsys.readouterr().err


# What a precision is worth.


def weighed(computes: str, rmse_m: float, seconds: float) -> precision.Weighed:
    case = Case('plain', 'L', 'openvino', 'fp32', computes, 1, HW)
    return precision.Weighed(case, rmse_m, seconds)


def test_precision_is_worth_shipping_if_it_loses_little_and_gains_enough():
    rows = precision.table(
        [
            weighed('fp32', 5.0, 0.010),
            weighed('bf16', 5.05, 0.005),
            weighed('int8', 5.2, 0.003),
            weighed('int8+bf16', 4.9, 0.009),
        ]
    )
    assert [row[1:] for row in rows] == [
        ['fp32', '5.000', '+0.0%', '1.00', ''],
        ['bf16', '5.050', '+1.0%', '2.00', 'yes'],
        ['int8', '5.200', '+4.0%', '3.33', 'no: loses too much'],
        ['int8+bf16', '4.900', '-2.0%', '1.11', 'no: gains too little'],
    ]


def test_cases_are_every_cpu_engine_in_every_precision(student, quantised):
    titles = [c.title for c in precision.cases_of(student, quantised[1])]
    assert titles == [
        'plain M onnxruntime fp32 1t',
        'plain M openvino fp32 1t',
        'plain M openvino bf16 1t',
        'plain M onnxruntime int8 1t',
        'plain M openvino int8 1t',
        'plain M openvino int8+bf16 1t',
    ]
    assert len(precision.cases_of(student, None)) == 3


@pytest.mark.data
@pytest.mark.slow
def test_precisions_are_scored_on_road_data(student, data_root, monkeypatch):
    monkeypatch.setenv('LIGHTDEPTH_DATA', str(data_root))
    case = precision.cases_of(student, None)[0]
    assert 1 < precision.rmse_m(case, 'kitti-val', precision.PROTOCOLS['raw']) < 80
