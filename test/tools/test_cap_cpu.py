# SPDX-License-Identifier: Apache-2.0
"""One machine plays an older one: what is taken away, and what the engines then do."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tools import bench_isa, cap_cpu

ON_X86 = pytest.mark.skipif(
    platform.machine() != 'x86_64' or shutil.which('objdump') is None,
    reason='needs an x86-64 CPU and objdump (binutils)',
)
SUMS = """
import sys
from tools.cap_cpu import cap
cap(sys.argv[1])
import json
import numpy as np
import onnxruntime as ort
found = {}
for exact in '01':
    options = ort.SessionOptions()
    options.add_session_config_entry('session.x64quantprecision', exact)
    session = ort.InferenceSession(sys.argv[2], options, providers=['CPUExecutionProvider'])
    found[exact] = int(session.run(None, {'x': np.full((1, 16, 8, 8), 255, np.uint8)})[0].max())
print(json.dumps(found))
"""
"""Prints the largest sum in ONNX Runtime with its fast and with its exact 8-bit kernels."""


def test_bits_beyond_a_level_are_cleared_and_no_others():
    ones = (0xFFFFFFFF,) * 4
    _, ebx, ecx, _ = cap_cpu.masked('AVX2', 7, 0, ones)
    assert not ebx & 1 << 16  # AVX-512 F
    assert ebx & 1 << 5  # AVX2
    assert not ecx & 1 << 11  # VNNI
    assert cap_cpu.masked('AVX512_CORE', 7, 0, ones)[1:3] == [ones[0], ones[0] & ~(1 << 11)]
    assert cap_cpu.masked('AVX512_CORE_VNNI', 7, 1, ones)[0] == ones[0] & ~(1 << 5 | 1 << 21)
    assert cap_cpu.masked('AVX2', 1, 0, ones) == list(ones)
    assert cap_cpu.masked('all', 7, 0, ones) == list(ones)


@pytest.fixture(scope='module')
def sums(tmp_path_factory):
    """An ONNX file whose products of 255 and 127 leave 16 bits when two are added."""
    numbers = {
        'x_scale': np.float32(1), 'x_zero': np.uint8(0),
        'w': np.full((1, 16, 1, 1), 127, np.int8), 'w_scale': np.float32(1), 'w_zero': np.int8(0),
        'y_scale': np.float32(4096), 'y_zero': np.uint8(0),
    }  # fmt: skip
    graph = helper.make_graph(
        [helper.make_node('QLinearConv', ['x', *numbers], ['y'])],
        'sums',
        [helper.make_tensor_value_info('x', TensorProto.UINT8, [1, 16, 8, 8])],
        [helper.make_tensor_value_info('y', TensorProto.UINT8, [1, 1, 8, 8])],
        [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in numbers.items()],
    )
    path = tmp_path_factory.mktemp('sums') / 'sums.onnx'
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9), path
    )
    return path


@ON_X86
@pytest.mark.slow
@pytest.mark.parametrize('level', ['AVX2', 'AVX512_CORE'])
def test_onnxruntime_cuts_8_bit_sums_below_vnni_but_for_its_exact_kernels(sums, level):
    words = [sys.executable, '-c', SUMS, level, str(sums)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    right = round(16 * 255 * 127 / 4096)
    assert json.loads(done.stdout) == {'0': round(8 * 32767 / 4096), '1': right}


@ON_X86
@pytest.mark.slow
def test_lightdepth_runs_as_on_an_older_cpu():
    words = [sys.executable, '-m', 'tools.cap_cpu', 'AVX2', 'engine', 'check', '--exit', 'XS']
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'capped at AVX2' in done.stdout
    assert 'pass lightdepth_plain_XS: onnxruntime' in done.stdout


def test_unknown_level_names_the_known_ones(capsys):
    assert cap_cpu.main(['SSE9', 'bench']) == 2
    assert 'AVX512_CORE_VNNI' in capsys.readouterr().err


def row(backend, precision, cpu_ms, threads=1):
    return {
        'backend': backend, 'precision': precision, 'threads': threads,
        'best_ms': 5.0, 'median_ms': 50.0, 'cpu_ms': cpu_ms,
    }  # fmt: skip


def test_table_marks_the_fastest():
    report = {
        'machine': {'date': '2026-01-01', 'cpu': 'A CPU', 'cores': 2, 'packages': {'ort': '1'}},
        'rounds': 3,
        'rows': [
            row('onnxruntime', 'fp32', 16.0),
            row('onnxruntime', 'int8', 14.0),
            row('openvino', 'fp32', 15.0),
            row('openvino', 'int8', 9.0),
        ],
    }
    rows = bench_isa.rows_of('AVX2', report)
    assert [r[2:] for r in rows] == [
        ['fp32', '1', '5.0', '50.0', '16.0', '1.00', ''],
        ['int8', '1', '5.0', '50.0', '14.0', '1.14', ''],
        ['fp32', '1', '5.0', '50.0', '15.0', '1.00', ''],
        ['int8', '1', '5.0', '50.0', '9.0', '1.67', 'fastest'],
    ]
    text = bench_isa.markdown({'AVX2': report}, 'command', 'Busy.')
    assert text.startswith('`command`')
    assert 'A CPU, 2 cores; ort 1. 3 rounds a level' in text
    assert 'Busy.' in text


@ON_X86
@pytest.mark.slow
def test_engines_are_timed_as_an_older_cpu_runs_them():
    report = bench_isa.run_level('AVX2', 'XS', 2, ['1'])
    assert [(r['backend'], r['precision']) for r in report['rows']] == [
        ('onnxruntime', 'fp32'),
        ('openvino', 'fp32'),
        ('onnxruntime', 'int8'),
        ('openvino', 'int8'),
    ]
    assert all(0 < r['best_ms'] <= r['median_ms'] for r in report['rows'])
    assert all(r['cpu_ms'] > 0 for r in report['rows'])
