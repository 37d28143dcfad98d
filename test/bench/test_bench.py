# SPDX-License-Identifier: Apache-2.0
"""`lightdepth bench`: its arithmetic, its fairness, its reports, and one small real run."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
import shlex
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_model import make_tiny_model

from lightdepth_ros import cli
from lightdepth_ros.bench import matrix as bench_matrix
from lightdepth_ros.bench import start as bench_start
from lightdepth_ros.bench import timing as bench
from lightdepth_ros.bench.cost import COPY_BYTES, Cost, memory_copy, network_cost
from lightdepth_ros.bench.matrix import Matrix, Peer, own_cases, reference_case
from lightdepth_ros.bench.plot import write_chart
from lightdepth_ros.bench.report import TARGETS, Report, Row, find
from lightdepth_ros.bench.timing import Case, Seconds, Times, ceiling_rate, interleave, shares
from lightdepth_ros.engines import INSTALL, EngineRequest, load_engine
from lightdepth_ros.errors import ConfigError, EngineError
from tools import bench as tool
from tools.bench import SECTION, markdown
from tools.document import markers, write_section
from tools.ros_env import ROOT

BEGIN, END = markers(SECTION)


def case(name='plain', exit_name='L', backend='onnxruntime', precision='fp32', threads=1) -> Case:
    return Case(name, exit_name, backend, precision, precision, threads, (320, 480))


def row(ratio: float, **change) -> Row:
    usual = Row(
        name='plain', exit='L', backend='onnxruntime', precision='fp32', threads=1,
        input_hw=(320, 480), best_ms=9 * ratio, median_ms=10 * ratio, p95_ms=11 * ratio,
        p99_ms=12 * ratio, images_s=100 / ratio, paced_ms=14 * ratio,
        ratio=ratio, paced_ratio=1.4 * ratio,
    )  # fmt: skip
    return dataclasses.replace(usual, **change)


def report(*rows: Row, **change) -> Report:
    usual = Report(
        command='lightdepth bench',
        machine={
            'date': '2026-01-01',
            'cpu': 'a CPU',
            'cores': 2,
            'packages': {'onnxruntime': 'x'},
        },
        rounds=3,
        reference='the paper',
        ceilings={'matmul 1t': 100.0, 'copy 1t': 10.0},
        rows=list(rows),
        overhead_ms={'everything_ms': 1.2, 'depth_only_ms': 0.9},
    )
    return dataclasses.replace(usual, **change)


# Arithmetic.


def test_times_are_median_percentiles_and_rate():
    times = Times.of(Seconds([0.2, 0.3, 0.9], [0.001 * i for i in range(1, 101)]))
    assert times.best_ms == pytest.approx(1.0)
    assert times.median_ms == pytest.approx(50.5)
    assert times.p95_ms == pytest.approx(95.05)
    assert times.p99_ms == pytest.approx(99.01)
    assert times.images_s == pytest.approx(1000 / 50.5)
    assert times.paced_ms == pytest.approx(300)


def test_every_round_gives_every_case_one_turn_in_changing_order():
    ran: list[str] = []
    names = ['a', 'b', 'c', 'd']
    rounds, turn = 12, 1 + bench.IN_A_ROW
    seconds = interleave({n: (lambda n=n: ran.append(n)) for n in names}, rounds, pause_s=0.0)
    turns = [ran[i : i + turn] for i in range(0, len(ran), turn)]
    assert all(len(set(t)) == 1 for t in turns)
    per_round = [[t[0] for t in turns[i : i + 4]] for i in range(0, len(turns), 4)]
    assert len(per_round) == bench.WARM_UP + rounds
    assert all(sorted(r) == names for r in per_round)
    assert len({tuple(r) for r in per_round}) > 4
    assert {len(s.paced) for s in seconds.values()} == {rounds}
    assert {len(s.in_a_row) for s in seconds.values()} == {rounds * bench.IN_A_ROW}


def test_durations_belong_to_the_case_that_took_them(monkeypatch):
    clock = [0.0]
    awake = [False]

    def sleep(seconds: float) -> None:
        assert seconds == bench.PAUSE_S
        awake[0] = False

    monkeypatch.setattr(bench.time, 'perf_counter', lambda: clock[0])
    monkeypatch.setattr(bench.time, 'sleep', sleep)

    def take(seconds: float):
        def work() -> None:
            clock[0] += seconds if awake[0] else 1.0
            awake[0] = True

        return work

    seconds = interleave({'slow': take(0.25), 'fast': take(0.125)}, 5)
    in_a_row = 5 * bench.IN_A_ROW
    assert seconds == {
        'slow': Seconds([1.0] * 5, [0.25] * in_a_row),
        'fast': Seconds([1.0] * 5, [0.125] * in_a_row),
    }


def test_shares_of_the_ceilings():
    times = Times(best_ms=9.0, median_ms=10.0, p95_ms=11, p99_ms=12, images_s=100, paced_ms=13)
    # 0.5 GMAC are 1 GFLOP; in 10 ms that is 100 GFLOP/s. 20 MB in 10 ms are 2 GB/s.
    found = shares(
        Cost(gmac=0.5, mbyte=20, nodes=3), times, {'matmul 2t': 200, 'copy 2t': 8, 'copy 1t': 1}, 2
    )
    assert found == {'matmul_share': pytest.approx(0.5), 'copy_share': pytest.approx(0.25)}
    assert shares(None, times, {'matmul 1t': 1.0}, 1) == {'matmul_share': None, 'copy_share': None}


def test_ceiling_rates_are_flops_and_bytes_both_ways():
    times = Times(best_ms=1.0, median_ms=20.0, p95_ms=0, p99_ms=0, images_s=0, paced_ms=0)
    assert ceiling_rate('matmul 1t', times) == pytest.approx(2 * 1024**3 / 0.020 / 1e9)
    assert ceiling_rate('copy 1t', times) == pytest.approx(2 * COPY_BYTES / 0.020 / 1e9)


@pytest.mark.parametrize('threads', [1, 2, 3])
def test_memory_copy_copies_everything(threads, monkeypatch):
    copied = []
    original = np.copyto
    monkeypatch.setattr(np, 'copyto', lambda a, b: (original(a, b), copied.append(b.size)))
    memory_copy(threads)()
    assert sum(copied) == COPY_BYTES // threads * threads
    with pytest.raises(EngineError, match='threads is 0'):
        memory_copy(0)


def test_cost_of_a_network_counts_convolutions(tmp_path):
    onnx = pytest.importorskip('onnx')
    h, types = onnx.helper, onnx.TensorProto
    weights = np.zeros((4, 3, 3, 3), np.float32), np.zeros((4, 2, 2, 2), np.float32)
    nodes = [
        h.make_node('Conv', ['x', 'w'], ['y'], pads=[1, 1, 1, 1], strides=[2, 2]),
        h.make_node('Relu', ['y'], ['r']),
        h.make_node('ConvTranspose', ['r', 'v'], ['z'], strides=[2, 2]),
    ]
    graph = h.make_graph(
        nodes,
        'g',
        [h.make_tensor_value_info('x', types.FLOAT, [1, 3, 'H', 'W'])],
        [h.make_tensor_value_info('z', types.FLOAT, [1, 2, 'h', 'w'])],
        [onnx.numpy_helper.from_array(a, n) for a, n in zip(weights, 'wv', strict=True)],
    )
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid('', 17)]), tmp_path / 'g.onnx')
    cost = network_cost(tmp_path / 'g.onnx', (1, 3, 32, 64))
    conv = 16 * 32 * 4 * 27
    transposed = 16 * 32 * 4 * 8
    assert cost.gmac * 1e9 == pytest.approx(conv + transposed)
    numbers = (3 * 32 * 64 + 108 + 4 * 16 * 32) + (4 * 16 * 32 + 32 + 2 * 32 * 64)
    assert cost.mbyte * 1e6 == pytest.approx(4 * numbers)
    assert cost.nodes == 3


# What is timed.


def test_reference_is_the_papers_network_with_logits_on_one_thread():
    logits, student, plain = case('the paper, logits out', ''), case('paper'), case()
    assert reference_case([plain, student, logits]) == logits
    assert reference_case([plain, student]) == student
    two = dataclasses.replace(plain, threads=2)
    other = dataclasses.replace(plain, backend='openvino')
    assert reference_case([two, other, plain]) == plain


def test_matrix_is_exits_x_engines_x_precisions_x_threads(tmp_path):
    paths = [make_tiny_model(tmp_path, name) for name in ('L', 'XS')]
    matrix = Matrix(paths, ['onnxruntime', 'openvino', 'tensorrt'], ['fp32', 'bf16'], [1, 2])
    titles = [c.title for c in own_cases(matrix)]
    assert len(titles) == len(set(titles)) == 2 * (2 + 4 + 2)
    assert 'tiny XS openvino bf16 2t' in titles
    assert 'tiny L tensorrt bf16 1t' in titles


def test_quantised_file_is_shown_as_int8(tmp_path):
    path = make_tiny_model(tmp_path, 'L')
    facts = json.loads(path.read_text(encoding='utf-8'))
    facts['training']['precision'] = 'int8'
    path.write_text(json.dumps(facts), encoding='utf-8')
    cases = list(own_cases(Matrix([path], ['onnxruntime', 'openvino'], ['fp32', 'bf16'], [1])))
    assert [c.computes for c in cases] == ['int8', 'int8', 'int8+bf16']
    assert [c.precision for c in cases] == ['fp32', 'fp32', 'bf16']


def test_engine_that_cannot_run_is_named_with_its_reason(tmp_path, monkeypatch):
    def broken(wanted: Case):
        if wanted.backend == 'openvino':
            raise EngineError('no library. Install it')
        return (lambda: None), (lambda: None)

    monkeypatch.setattr(bench, 'runner', broken)
    path = make_tiny_model(tmp_path, 'L')
    loaded = bench_matrix.load(Matrix([path], ['onnxruntime', 'openvino'], ['fp32'], [1]))
    assert loaded.not_run == {'openvino': 'no library'}


def test_nothing_that_can_run_is_an_error(tmp_path, monkeypatch):
    def broken(wanted: Case):
        raise EngineError('no library. Install it')

    monkeypatch.setattr(bench, 'runner', broken)
    path = make_tiny_model(tmp_path, 'L')
    with pytest.raises(EngineError, match='nothing of this can run here'):
        bench_matrix.load(Matrix([path], ['openvino'], ['fp32'], [1]))


@pytest.mark.slow
def test_perception_overhead_leaves_the_engine_out(tmp_path):
    engine = load_engine(EngineRequest(make_tiny_model(tmp_path, 'L')))

    class Slow:
        backend, device, contract = engine.backend, engine.device, engine.contract

        def run(self, image, outputs, ground=None):
            time.sleep(0.2)
            return engine.run(image, outputs, ground)

    found = bench.perception_overhead(Slow(), 3)
    assert 0 < found['depth_only_ms'] < 150
    assert 0 < found['everything_ms'] < 150


def test_start_cost_is_measured_in_a_process_of_its_own(tmp_path):
    path = make_tiny_model(tmp_path, 'L')
    found = bench.start_cost(dataclasses.replace(case(), contract=path))
    assert 0.05 < found['first_s'] < 60
    assert 20 < found['memory_mib'] < 1000
    with pytest.raises(EngineError, match='failed in a process of its own'):
        bench.start_cost(dataclasses.replace(case(), contract=tmp_path / 'no.json'))


def test_resident_memory_is_this_processs():
    before = bench_start.resident_mib()
    block = np.ones(40 << 20, np.uint8)
    assert bench_start.resident_mib() - before > 30
    del block


# What is reported.


def test_best_row_is_found_over_engines_and_precisions():
    found = report(
        row(0.5), row(0.3, backend='openvino', precision='bf16', threads=2), row(0.4, threads=2)
    )
    assert find(found, threads=2).ratio == 0.3
    assert find(found, threads=2, backend='onnxruntime').ratio == 0.4
    assert find(found, exit_name='M') is None


def test_targets_are_judged_from_the_rows():
    found = report(
        row(0.5, matmul_share=0.7, first_s=0.4, memory_mib=250.0),
        row(0.2, backend='openvino', threads=2),
        row(0.4, exit='M'),
    )
    values = {t.name: t.found(found) for t in TARGETS}
    assert values['exit L, ONNX Runtime, 1 thread'] == 0.5
    assert values['exit L, best engine and precision, 2 threads'] == 0.2
    assert values['exit M against L, ONNX Runtime'] == pytest.approx(0.8)
    assert values['exit S against L, ONNX Runtime'] is None
    text = markdown(found)
    for line in (
        '| exit L, ONNX Runtime, 1 thread | <= 0.55 of the reference | 0.50 | reached |',
        '| <= 0.15 of the reference | 0.20 | missed |',
        'ceiling, exit L, ONNX Runtime, 1 thread | >= 0.6 | 0.70 | reached |',
        '| perception without the engine, 640x480 in, depth only | <= 0.8 ms | 0.90 | missed |',
        '| resident memory, exit L, ONNX Runtime | <= 200 MiB | 250.00 | missed |',
        '| exit S against L, ONNX Runtime | <= 0.55 of L | not measured |  |',
    ):
        assert line in text


def test_markdown_names_command_machine_reference_and_what_was_not_run():
    text = markdown(report(row(1.0), not_run={'tensorrt': 'no GPU'}))
    for words in (
        '`lightdepth bench`',
        'a CPU, 2 cores',
        'Ratio 1.0 = the paper',
        'tensorrt: no GPU',
    ):
        assert words in text
    assert 'of copy' not in text  # a column that nobody fills


def test_document_is_filled_between_its_markers_only(tmp_path):
    path = tmp_path / 'doc.md'
    path.write_text(f'before\n{BEGIN}\nold\n{END}\nafter \\1\n', encoding='utf-8')
    for ratio in (1.0, 2.0):
        write_section(path, SECTION, markdown(report(row(ratio))))
    text = path.read_text(encoding='utf-8')
    assert text.startswith(f'before\n{BEGIN}\n')
    assert text.endswith(f'{END}\nafter \\1\n')
    assert 'old' not in text
    assert '| 2.00 |' in text
    assert '| 1.00 |' not in text


def test_prose_that_fills_a_document_is_wrapped_and_tables_are_not(tmp_path):
    path = tmp_path / 'doc.md'
    path.write_text(f'{BEGIN}\n{END}\n', encoding='utf-8')
    row_of_words = f'| {"word " * 40} |'
    write_section(path, SECTION, f'{"word " * 40}\n\n{row_of_words}')
    lines = path.read_text(encoding='utf-8').splitlines()
    assert row_of_words in lines
    assert [len(line) for line in lines[1:3]] == [99, 99]  # 20 words of 4 letters a line


def test_document_without_markers_is_refused_and_kept(tmp_path):
    path = tmp_path / 'doc.md'
    path.write_text('mine', encoding='utf-8')
    with pytest.raises(ConfigError, match='once each'):
        write_section(path, SECTION, markdown(report(row(1.0))))
    assert path.read_text(encoding='utf-8') == 'mine'


@pytest.mark.parametrize('ending', ['svg', 'png'])
def test_chart_is_drawn_with_peers_and_without(tmp_path, ending):
    pytest.importorskip('matplotlib')
    peer = row(
        3.0, name='Poggi et al.', exit='', rmse_m=6.0, parameters=1_971_624, protocol='Eigen'
    )
    for name, rows in (('own', [row(1.0)]), ('peers', [row(1.0), peer])):
        path = tmp_path / f'{name}.{ending}'
        write_chart(report(*rows), path)
        assert path.stat().st_size > 3000
    if ending == 'svg':
        first = path.read_bytes()
        write_chart(report(row(1.0), peer), path)
        assert len(path.read_bytes()) == len(first)


# The command.


@pytest.mark.parametrize('program', ['lightdepth', 'tools.bench'])
def test_command_runs_shows_and_writes(tmp_path, capsys, monkeypatch, program):
    pytest.importorskip('onnx')
    monkeypatch.setattr(bench, 'WARM_UP', 1)
    path = make_tiny_model(tmp_path, 'XS')
    doc = tmp_path / 'doc.md'
    doc.write_text(f'{BEGIN}\n{END}\n', encoding='utf-8')
    out = tmp_path / 'bench.json'
    words = ['--model', str(path), '--backend', 'onnxruntime', '--threads', '1']
    words += ['--rounds', '2', '--no-start', '--json', str(out)]
    run = (
        (lambda: cli.main(['bench', *words]))
        if program == 'lightdepth'
        else (lambda: tool.main([*words, '--doc', str(doc)]))
    )
    assert run() == 0
    facts = json.loads(out.read_text(encoding='utf-8'))
    rows = [r for r in facts['rows'] if r['name'] == 'tiny']
    assert [(r['exit'], r['backend'], r['threads']) for r in rows] == [('XS', 'onnxruntime', 1)]
    assert rows[0]['median_ms'] > 0
    assert set(facts['ceilings']) == {'matmul 1t', 'copy 1t'}
    assert all(rate > 0.1 for rate in facts['ceilings'].values())
    assert 'onnxruntime' in facts['machine']['packages']
    assert 'tiny' in capsys.readouterr().out
    assert ('| tiny | XS |' in doc.read_text(encoding='utf-8')) is (program == 'tools.bench')


def test_peers_are_timed_with_both_cpu_engines(tmp_path):
    onnx = pytest.importorskip('onnx')
    h = onnx.helper
    shape = [1, 3, 8, 8]
    graph = h.make_graph(
        [h.make_node('Relu', ['x'], ['y'])],
        'g',
        [h.make_tensor_value_info('x', 1, shape)],
        [h.make_tensor_value_info('y', 1, shape)],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid('', 17)])
    model.ir_version = 8
    onnx.save(model, tmp_path / 'peer.onnx')
    fact = {'title': 'Peer', 'onnx': 'peer.onnx', 'input_hw': [8, 8], 'parameters': 5,
            'rmse_m': 1.5, 'protocol': 'p'}  # fmt: skip
    peer = Peer.of(fact, tmp_path)
    for wanted in bench_matrix.peer_cases(Matrix([], [], [], [1], peers=[peer])):
        run, close = bench.runner(wanted)
        found = run()
        close()
        assert found[0].shape == (1, 3, 8, 8)
        assert (found[0] >= 0).all()


def test_peers_without_pytorch_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(tool.sys, 'executable', '/bin/false')
    with pytest.raises(ConfigError, match='needs PyTorch'), tool.exported_peers():
        pass


@pytest.mark.parametrize('words', [['--peers'], ['--doc', 'docs/performance.md']])
def test_what_needs_a_checkout_is_refused_with_the_command_that_does_it(words, capsys):
    assert cli.main(['bench', *words]) == 1
    assert 'python -m tools.bench' in capsys.readouterr().err


@pytest.mark.parametrize('words', [['--rounds', '0'], ['--threads', '0']])
def test_senseless_numbers_are_refused(words, capsys):
    assert cli.main(['bench', *words]) == 1
    assert 'at least 1' in capsys.readouterr().err


def test_help_teaches(capsys):
    actions = [['engine', action, '--help'] for action in ('build', 'list', 'check', 'prune')]
    for words in (['bench', '--help'], ['engine', '--help'], *actions):
        with pytest.raises(SystemExit) as done:
            cli.main(words)
        assert done.value.code == 0
        shown = capsys.readouterr().out
        assert len(shown) > 400
        assert 'examples:' in shown


def test_examples_of_the_help_parse(capsys):
    for words in (['bench'], ['engine'], *(['engine', a] for a in ('build', 'check', 'prune'))):
        with pytest.raises(SystemExit):
            cli.main([*words, '--help'])
        text = capsys.readouterr().out
        examples = re.findall(r'^  lightdepth (.*?)(?:   |$)', text, re.MULTILINE)
        assert len(examples) >= 3, words
        for example in examples:
            command, *rest = shlex.split(example)
            module = importlib.import_module(cli.COMMANDS[command][0])
            module.parser(command).parse_args(rest)


def test_engine_list_tells_what_auto_took_and_why(tiny, capsys):
    assert cli.main(['engine', 'check', '--model', str(tiny), '--backend', 'auto']) == 0
    capsys.readouterr()
    assert cli.main(['engine', 'list']) == 0
    shown = capsys.readouterr().out
    assert 'backend auto takes' in shown
    assert 'for lightdepth_tiny_M.onnx at 480x320 on 1 thread: median onnxruntime' in shown


# `lightdepth engine`, on the tiny model.


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return make_tiny_model(tmp_path, 'M')


def test_engine_check_compares_what_is_installed(tiny, capsys):
    assert cli.main(['engine', 'check', '--model', str(tiny)]) == 0
    shown = capsys.readouterr().out
    assert 'onnxruntime is the reference' in shown
    assert '100.00% of the labels agree' in shown


def test_engine_check_fails_when_an_engine_is_refused(tiny, capsys, monkeypatch):
    from lightdepth_ros.cli import engine as cli_engine
    from lightdepth_ros.engines.golden import Verdict

    engine = load_engine(EngineRequest(tiny))
    monkeypatch.setattr(
        cli_engine, 'load_checked', lambda *a, **k: (engine, Verdict(False, 'off'))
    )
    assert cli.main(['engine', 'check', '--model', str(tiny), '--backend', 'openvino']) == 1
    assert 'FAIL' in capsys.readouterr().out


def test_engine_list_and_prune(tiny, capsys):
    from lightdepth_ros.engines.cache import EngineKey, get_or_build

    key = EngineKey('ab' * 32, 'L', 'fp16', 'tensorrt', '10.1', '8.7', (320, 480), ('depth',))
    get_or_build(key, lambda: b'engine', print)
    assert cli.main(['engine', 'list']) == 0
    shown = capsys.readouterr().out
    assert 'fp16' in shown
    assert '1 engines in' in shown
    assert cli.main(['engine', 'prune']) == 0
    assert '0 deleted, 1 engines kept' in capsys.readouterr().out
    assert cli.main(['engine', 'prune', '--all']) == 0
    assert '1 deleted, 0 engines kept' in capsys.readouterr().out


@pytest.mark.parametrize('size', ['480', '480x', 'ax320', '0x320', '-480x320'])
def test_input_that_is_no_size_is_refused(tiny, size, capsys):
    with pytest.raises(SystemExit):
        cli.main(['engine', 'check', '--model', str(tiny), f'--input={size}'])
    assert 'is not a size' in capsys.readouterr().err


def test_engine_build_without_a_gpu_but_for_a_named_one(tmp_path, monkeypatch, capsys):
    for name in ('tensorrt_rtx', 'cuda.bindings'):
        pytest.importorskip(name, reason=f'no {name} for this Python: see requirements/test.txt')
    from test_tensorrt_build import small_network

    from lightdepth_ros.contract import file_sha256

    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    path = make_tiny_model(tmp_path, 'L')
    onnx_path = path.with_suffix('.onnx')
    small_network(onnx_path)
    facts = json.loads(path.read_text(encoding='utf-8'))
    facts['onnx_sha256'] = file_sha256(onnx_path)
    path.write_text(json.dumps(facts), encoding='utf-8')
    words = ['engine', 'build', '--model', str(path), '--input', '96x64']
    assert cli.main([*words, '--compute-capability', '8.9']) == 0
    shown = capsys.readouterr().out
    assert shown.count('MiB') == 2
    assert 'sm89' in shown
    assert cli.main([*words, '--compute-capability', '6.1']) == 1
    assert 'SM75' in capsys.readouterr().err
    assert cli.main([*words[:-1], '100x64', '--compute-capability', '8.9']) == 1
    assert 'multiples of 32' in capsys.readouterr().err


# The documents.

DOCS = ROOT / 'docs'


def commands_of(name: str, program: str) -> list[list[str]]:
    """The words of each command of a program that a document's code blocks and spans show."""
    text = (DOCS / name).read_text(encoding='utf-8')
    text = re.sub(r'(?<!`)`[^`]+`(?!`)', lambda span: span[0].replace('\n', ' '), text)
    found = re.findall(rf'(?:^|&& |`)({program} [^`\n&#]*)', text, re.MULTILINE)
    return [shlex.split(line)[len(program.split()) :] for line in found]


@pytest.mark.parametrize('name', ['performance.md', 'deployment.md'])
def test_lightdepth_commands_of_the_documents_parse(name):
    commands = commands_of(name, 'lightdepth')
    assert len(commands) >= 3
    for words in commands:
        module = importlib.import_module(cli.COMMANDS[words[0]][0])
        module.parser(words[0]).parse_args(words[1:])


def test_commands_of_the_documents_that_need_a_checkout_parse():
    commands = commands_of('performance.md', 'python -m tools.bench')
    assert all(tool.parser().parse_args(words).peers for words in commands)
    assert commands


@pytest.mark.torch
def test_training_commands_of_the_documents_parse():
    pytest.importorskip('torch')
    seen = set()
    for name in ('performance.md', 'deployment.md'):
        for program in ('precision', 'quantize'):
            for words in commands_of(name, f'python -m training.{program}'):
                seen.add(program)
                module = importlib.import_module(f'training.{program}')
                module.parser().parse_args(words)
    assert seen == {'precision', 'quantize'}


def test_documents_have_the_sections_that_commands_fill():
    text = (DOCS / 'performance.md').read_text(encoding='utf-8')
    for section in (SECTION, 'precision'):
        begin, end = markers(section)
        assert text.index(begin) < text.index(end)


def test_deployment_names_the_install_line_of_every_backend():
    text = (DOCS / 'deployment.md').read_text(encoding='utf-8')
    for backend, line in INSTALL.items():
        assert f'`{backend}`' in text
        assert backend == 'onnxruntime' or line in text
