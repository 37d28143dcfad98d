# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime serves while TensorRT builds; the engine takes over if its numbers are right."""

from __future__ import annotations

import dataclasses
import threading
import time

import numpy as np
import pytest
from broken_engine import BrokenEngine, put_in_place, two_percent_too_far
from fake_tensorrt import FakeCuda, fake_trt
from tiny_model import make_tiny_model, tiny_outputs

from lightdepth_ros import engines
from lightdepth_ros.config import NodeConfig
from lightdepth_ros.engines import EngineRequest, tensorrt, tensorrt_build
from lightdepth_ros.engines import handover as engine_handover
from lightdepth_ros.engines.cache import entries
from lightdepth_ros.engines.golden import golden_image
from lightdepth_ros.engines.handover import HandoverEngine, serving_engine
from lightdepth_ros.errors import EngineError
from lightdepth_ros.stream.model_set import ModelSet
from lightdepth_ros.stream.pipeline import Switcher

PATIENCE_S = 30.0
HW = (64, 96)
RGB = np.random.default_rng(0).integers(0, 200, (*HW, 3), dtype=np.uint8)
STRIDE = {'L': 2, 'S': 8}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('models')
    for exit_name in STRIDE:
        make_tiny_model(path, exit_name, student='plain')
    return path


@pytest.fixture
def tiny(folder):
    return folder / 'lightdepth_plain_L.json'


def wait_until(true, what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end_s, f'waited in vain for {what}'
        time.sleep(0.01)


class Robot:
    """A Switcher whose backend is a stand-in for TensorRT, and what it logged."""

    def __init__(self, folder, monkeypatch) -> None:
        self.cuda = FakeCuda()
        self.trt = fake_trt(self.cuda)
        monkeypatch.setattr(tensorrt, 'import_tensorrt', lambda: self.trt)
        monkeypatch.setattr(tensorrt, 'import_cuda', lambda: self.cuda)
        monkeypatch.setattr(engine_handover, 'PATIENCE_S', 0.05)
        self.config = NodeConfig(
            model=str(folder), backend='tensorrt', input_height=HW[0], input_width=HW[1]
        )
        self.log: list[str] = []
        self.told: list[str] = []

    def start(self, **changes) -> Switcher:
        self.config = dataclasses.replace(self.config, **changes)
        models = ModelSet(self.log.append)
        self.switcher = Switcher(models, self.config, self.told.append, self.told.append)
        return self.switcher

    def set_resolution(self, name: str) -> None:
        self.told.clear()
        self.config = dataclasses.replace(self.config, output_resolution=name)
        self.switcher.change(self.config)
        wait_until(lambda: self.told, f'resolution {name}')

    @property
    def facts(self) -> dict[str, str]:
        return self.switcher.current.facts

    def wait_for(self, state: str) -> None:
        wait_until(lambda: self.facts['engine'] == state, state)

    def depth_is_right(self, rgb: np.ndarray = RGB) -> bool:
        """Take one frame and compare it with what the tiny model of the set exit must say."""
        frame = self.switcher.current.perception.predict(rgb, None, ['depth'])
        truth = tiny_outputs(rgb[None], STRIDE[self.config.output_resolution])['depth'][0]
        truth = np.where(truth >= 80, np.inf, truth)  # out of range
        found = frame.prediction.depth_m
        return found.shape == truth.shape and np.allclose(found, truth, rtol=5e-3)


@pytest.fixture
def robot(folder, monkeypatch):
    made = Robot(folder, monkeypatch)
    yield made
    made.trt.gate.set()
    made.switcher.close()
    # A build goes on after that, and would write into the cache of the next test.
    wait_until(lambda: not engine_handover._builds.locked(), 'the end of the last build')


# Through the pipeline, with TensorRT's stand-in.


def test_frames_are_served_while_an_engine_is_built_and_by_it_afterwards(robot):
    robot.trt.gate.clear()
    robot.start()
    assert (robot.facts['engine'], robot.facts['backend']) == ('building', 'onnxruntime')
    assert robot.depth_is_right()
    robot.trt.gate.set()
    robot.wait_for('ready')
    assert (robot.facts['backend'], robot.facts['precision']) == ('tensorrt', 'fp16')
    assert 'Stand-in GPU' in robot.facts['device']
    launched = robot.cuda.graph_launches
    assert robot.depth_is_right()
    assert robot.cuda.graph_launches == launched + 1
    assert 'on the golden frame' in robot.facts['engine_note']
    assert 'tensorrt fp16 serves from now on' in robot.log[-1]


def test_cached_engine_is_there_from_the_first_frame(robot, monkeypatch):
    robot.start()
    robot.wait_for('ready')
    robot.switcher.close()
    monkeypatch.setattr(engine_handover, 'PATIENCE_S', PATIENCE_S)
    robot.start()
    assert (robot.facts['engine'], robot.facts['backend']) == ('ready', 'tensorrt')
    assert robot.trt.builds == 2  # of the first start: all outputs, and depth alone


def test_build_is_visible_while_it_goes_on(robot, monkeypatch):
    monkeypatch.setattr(tensorrt_build, 'REPORT_S', 0.02)
    robot.trt.gate.clear()
    robot.start()
    wait_until(lambda: 'so far' in robot.facts['engine_note'], 'progress in the diagnostics')
    assert robot.facts['engine_note'].startswith('onnxruntime serves; building the tensorrt')
    wait_until(lambda: sum('so far' in line for line in robot.log) >= 3, 'progress in the log')


def wrong_numbers(found):
    found['depth'] *= 1.02


@pytest.mark.parametrize('cause', ['numbers', 'build'])
def test_refused_engine_leaves_onnxruntime_serving_and_its_reason_told(robot, cause):
    if cause == 'numbers':
        robot.cuda.fault = wrong_numbers
    robot.trt.fails = cause == 'build'
    robot.start()
    robot.wait_for('refused')
    assert robot.facts['backend'] == 'onnxruntime'
    reason = 'depth differs by 2.00%' if cause == 'numbers' else 'stand-in: no tactic'
    assert reason in robot.facts['engine_note']
    assert robot.log[-1].startswith('warning: backend tensorrt was refused')
    for _ in range(3):
        assert robot.depth_is_right()
    assert robot.facts['engine'] == 'refused'
    assert robot.cuda.live == {}


def test_resolution_changes_in_the_middle_of_a_build_and_each_exit_gets_its_own_engine(robot):
    robot.trt.gate.clear()
    robot.start(output_resolution='L')
    assert robot.depth_is_right()
    robot.set_resolution('S')
    assert (robot.facts['engine'], robot.facts['backend']) == ('building', 'onnxruntime')
    assert robot.depth_is_right()
    robot.trt.gate.set()
    robot.wait_for('ready')
    assert robot.facts['backend'] == 'tensorrt'
    assert robot.depth_is_right()
    robot.set_resolution('L')  # its build went on meanwhile
    assert (robot.facts['engine'], robot.facts['backend']) == ('ready', 'tensorrt')
    assert robot.depth_is_right()
    assert sorted(e.key.exit for e in entries()) == ['L', 'L', 'S', 'S']
    assert robot.trt.builds == 4


def test_closing_in_the_middle_of_a_build_is_quick_keeps_its_engine_and_drops_the_others(robot):
    robot.trt.gate.clear()
    robot.start(output_resolution='auto')  # L and S want an engine
    wait_until(lambda: robot.trt.builds == 1, 'the first build')
    said = len(robot.log)
    started_s = time.monotonic()
    robot.switcher.close()
    assert time.monotonic() - started_s < 5  # the build would take a minute
    robot.trt.gate.set()
    wait_until(lambda: not engine_handover._builds.locked(), 'the end of the build')
    wait_until(lambda: robot.cuda.live == {}, 'the memory of the GPU')
    assert {e.key.exit for e in entries()} == {'L'}
    assert robot.trt.builds == 2
    assert robot.log[said:] == []


def test_configuring_again_in_the_middle_of_a_build_builds_once(robot):
    robot.trt.gate.clear()
    robot.start()
    wait_until(lambda: robot.trt.builds == 1, 'the first build')
    robot.switcher.close()
    robot.start()
    assert robot.depth_is_right()
    robot.trt.gate.set()
    robot.wait_for('ready')
    assert robot.depth_is_right()
    assert robot.trt.builds == 2


def test_image_of_another_shape_is_served_at_once_and_gets_an_engine_of_its_own(robot):
    robot.start(fit='adapt')
    robot.wait_for('ready')
    robot.trt.gate.clear()
    tall = np.ascontiguousarray(RGB.transpose(1, 0, 2))
    assert robot.depth_is_right(tall)
    assert (robot.facts['engine'], robot.facts['backend']) == ('building', 'onnxruntime')
    assert robot.depth_is_right()  # the first shape keeps its engine
    assert robot.facts['backend'] == 'tensorrt'
    robot.trt.gate.set()
    robot.wait_for('ready')
    assert robot.depth_is_right(tall)
    assert robot.facts['backend'] == 'tensorrt'
    assert robot.trt.builds == 4


def test_backend_without_a_gpu_is_an_error_at_once_and_no_fallback(robot):
    robot.start()
    robot.cuda.gpus = 0
    with pytest.raises(EngineError, match='nvidia-smi'):
        Robot.start(robot)


# The engine by itself.


def handover(tiny, monkeypatch, load, report=lambda line: None) -> HandoverEngine:
    put_in_place(monkeypatch, 'wanted', load)
    return serving_engine(EngineRequest(tiny, 'wanted', 1, report=report, input_hw=HW))


def test_no_frame_is_lost_or_changed_while_the_engine_takes_over(tiny, monkeypatch):
    gate = threading.Event()
    engine = handover(tiny, monkeypatch, lambda *_: gate.wait(20) and BrokenEngine(tiny))
    image = golden_image(HW)
    truth = engine.run(image)['depth']
    served, wrong = [], []

    def frames() -> None:
        while len(served) < 50 or served[-1] != 'broken':
            found = engine.run(image)['depth']
            served.append(engine.backend)
            wrong.extend([found] if not np.array_equal(found, truth) else [])

    worker = threading.Thread(target=frames)
    worker.start()
    gate.set()
    worker.join(PATIENCE_S)
    assert not worker.is_alive()
    assert wrong == []
    engine.close()


def test_making_an_engine_that_tells_nothing_is_told_all_the_same(tiny, monkeypatch):
    monkeypatch.setattr(engine_handover, 'REPORT_S', 0.02)
    gate = threading.Event()
    reports = []
    engine = handover(
        tiny, monkeypatch, lambda *_: gate.wait(20) and BrokenEngine(tiny), reports.append
    )
    wait_until(lambda: len(reports) >= 3, 'progress')
    for line in (*reports, engine.text.removeprefix('onnxruntime serves; ')):
        assert line.startswith('backend wanted for 96x64: ')
        assert line.endswith(' s so far')
    gate.set()
    assert engine.wait(PATIENCE_S)
    engine.close()
    said = len(reports)
    time.sleep(0.1)
    assert len(reports) == said


@pytest.mark.parametrize('load_fails', [True, False])
def test_refused_engine_never_serves_a_frame(tiny, monkeypatch, load_fails):
    def load(*_):
        if load_fails:
            raise EngineError('no memory')
        return BrokenEngine(tiny, two_percent_too_far)

    reports = []
    engine = handover(tiny, monkeypatch, load, reports.append)
    assert engine.wait(20)
    engine.run(golden_image(HW))
    assert (engine.state, engine.backend) == ('refused', 'onnxruntime')
    assert ('no memory' if load_fails else 'depth differs by 2.00%') in engine.text
    assert 'onnxruntime serves' in reports[-1]
    engine.close()


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_error_that_nobody_foresaw_refuses_the_engine_too(tiny, monkeypatch):
    def load(*_):
        raise RuntimeError('surprise')

    engine = handover(tiny, monkeypatch, load)
    assert engine.wait(20)
    assert (engine.state, engine.backend) == ('refused', 'onnxruntime')
    assert 'unforeseen' in engine.text
    engine.run(golden_image(HW))
    engine.close()


def test_engine_that_gets_ready_after_close_is_closed_too(tiny, monkeypatch):
    begun, gate = threading.Event(), threading.Event()
    made = []

    def load(*_):
        begun.set()
        assert gate.wait(20)
        made.append(BrokenEngine(tiny))
        return made[-1]

    engine = handover(tiny, monkeypatch, load)
    assert begun.wait(PATIENCE_S)  # one that waits for its turn would be dropped
    engine.close()
    assert engine.wait(0)  # nobody has to wait for it any more
    gate.set()
    wait_until(lambda: made and made[0].closed, 'the late engine to be closed')
    with pytest.raises(EngineError, match='closed'):
        engine.run(golden_image(HW))


def test_named_backend_without_its_library_is_an_error_at_once(tiny, monkeypatch):
    monkeypatch.setitem(engines.ENGINES, 'absent', 'no_such_module_anywhere')
    monkeypatch.setitem(engines.PRECISIONS, 'absent', ('fp32',))
    monkeypatch.setitem(engines.INSTALL, 'absent', 'pip install absent')
    with pytest.raises(EngineError, match='pip install absent'):
        serving_engine(EngineRequest(tiny, 'absent', 1, report=print, input_hw=HW))


@pytest.mark.parametrize(('backend', 'precision'), [('cuda', 'auto'), ('onnxruntime', 'fp16')])
def test_what_cannot_work_is_refused_at_once(tiny, backend, precision):
    with pytest.raises(EngineError, match=r'must be one of|offers'):
        serving_engine(
            EngineRequest(tiny, backend, 1, report=print, precision=precision, input_hw=HW)
        )


def test_onnxruntime_is_returned_as_it_is(tiny):
    engine = serving_engine(EngineRequest(tiny, 'onnxruntime', 1, report=print, input_hw=HW))
    assert not isinstance(engine, HandoverEngine)
    engine.close()


def test_auto_tells_in_the_diagnostics_what_it_took_and_why(tiny):
    engine = serving_engine(EngineRequest(tiny, 'auto', 1, report=lambda line: None, input_hw=HW))
    assert engine.wait(PATIENCE_S)
    assert engine.state == 'ready'
    taken = f'backend auto takes {engine.backend} {engine.precision} for lightdepth_plain_L.onnx'
    assert f'{taken} at 96x64 on 1 thread: median' in engine.text
    engine.close()


def test_precision_of_the_engine_in_use_is_told(tiny, monkeypatch):
    engine = handover(tiny, monkeypatch, lambda *_: BrokenEngine(tiny, None, 'bf16'))
    assert engine.wait(PATIENCE_S)
    assert engine.precision == 'bf16'
    engine.close()


def test_caller_is_patient_at_first_and_never_again(tiny, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(engine_handover, 'PATIENCE_S', 2.0)
    engine = handover(tiny, monkeypatch, lambda *_: gate.wait(20) and BrokenEngine(tiny))
    assert 0 < engine.patience_left_s <= 2.0
    assert not engine.wait(engine.patience_left_s)
    assert engine.patience_left_s == 0
    gate.set()
    assert engine.wait(PATIENCE_S)
    engine.close()


def test_openvino_never_compiles_within_a_frame_when_the_image_changes_its_size(tiny, monkeypatch):
    """As a camera's new mode or parameter `fit` make it; ONNX Runtime serves meanwhile."""
    openvino = pytest.importorskip('lightdepth_ros.engines.openvino')
    compiled = []
    real = openvino.OpenVinoEngine._compile

    def spy(self, input_hw, outputs):
        compiled.append((threading.current_thread().name, input_hw))
        return real(self, input_hw, outputs)

    monkeypatch.setattr(openvino.OpenVinoEngine, '_compile', spy)
    engine = serving_engine(
        EngineRequest(tiny, 'openvino', 1, report=lambda line: None, input_hw=HW)
    )
    assert engine.wait(PATIENCE_S)
    tall = golden_image((96, 64))
    truth = tiny_outputs(tall, 2)['depth']
    np.testing.assert_allclose(engine.run(tall, ['depth', 'label'])['depth'], truth, rtol=1e-3)
    assert engine.backend == 'onnxruntime'
    assert engine.wait(PATIENCE_S)
    np.testing.assert_allclose(engine.run(tall, ['depth', 'label'])['depth'], truth, rtol=1e-3)
    assert (engine.state, engine.backend) == ('ready', 'openvino')
    for image in (tall, golden_image(HW)):
        for outputs in (engines.OUTPUTS, ['depth', 'label'], ['label']):  # what topics need
            engine.run(image, outputs)
            assert engine.backend == 'openvino'
    assert {hw for _, hw in compiled} == {HW, (96, 64)}
    assert {name for name, _ in compiled} == {'engine build'}
    engine.close()


def test_stand_in_for_another_size_prepares_only_what_the_frame_asks_for(tiny, monkeypatch):
    """A frame waits for it, so it is not warmed up for outputs that nobody wants."""
    warmed = []
    real = engine_handover.warm_up
    monkeypatch.setattr(
        engine_handover, 'warm_up', lambda e, hw: warmed.append((e.backend, hw)) or real(e, hw)
    )
    gate = threading.Event()
    gate.set()

    class Sized(BrokenEngine):
        one_size = True

    engine = handover(tiny, monkeypatch, lambda *_: gate.wait(20) and Sized(tiny))
    assert engine.wait(PATIENCE_S)
    gate.clear()
    engine.run(golden_image((96, 64)), ['depth'])
    assert warmed == [('onnxruntime', HW), ('broken', HW)]
    assert engine.backend == 'onnxruntime'
    gate.set()
    assert engine.wait(PATIENCE_S)
    assert warmed[2:] == [('broken', (96, 64))]
    engine.close()


def test_engines_of_four_sizes_are_kept_and_the_oldest_goes_first(tiny, monkeypatch):
    made: list[BrokenEngine] = []

    class Sized(BrokenEngine):
        one_size = True

    def make(*_):
        made.append(Sized(tiny))
        return made[-1]

    engine = handover(tiny, monkeypatch, make)
    assert engine.wait(PATIENCE_S)
    for width in (128, 160, 192, 224):
        assert not any(one.closed for one in made)
        engine.run(golden_image((64, width)), ['depth'])
        assert engine.wait(PATIENCE_S)
    assert [one.closed for one in made] == [True, False, False, False, False]
    engine.close()
