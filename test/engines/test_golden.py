# SPDX-License-Identifier: Apache-2.0
"""The golden-frame check refuses engines whose numbers are wrong, and ONNX Runtime takes over."""

from __future__ import annotations

import numpy as np
import pytest
from broken_engine import (
    FAULTS,
    BrokenEngine,
    put_in_place,
    swapped_channels,
)
from tiny_model import make_tiny_model

from lightdepth_ros import engines
from lightdepth_ros.contract import shipped_contract
from lightdepth_ros.engines import OUTPUTS, EngineRequest, load_engine
from lightdepth_ros.engines import choose as choosing
from lightdepth_ros.engines.checked import load_checked, load_sound
from lightdepth_ros.engines.choose import choose, fastest
from lightdepth_ros.engines.golden import (
    BOUNDS,
    Bound,
    compare,
    golden_ground,
    golden_image,
    judge,
)
from lightdepth_ros.errors import EngineError


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return make_tiny_model(tmp_path, 'M')


def test_golden_image_is_the_same_everywhere_and_has_something_to_see():
    image = golden_image((320, 480))
    assert image.shape == (1, 320, 480, 3)
    assert image.dtype == np.uint8
    # Sums computed once; the formula has integers only, so every machine must find them.
    assert int(image.sum(dtype=np.int64)) == 60654457
    assert int(golden_image((64, 96)).sum(dtype=np.int64)) == 2443949
    assert image.std(axis=(1, 2)).min() > 20


def test_sound_engine_passes(tiny):
    engine = BrokenEngine(tiny)
    verdict = compare(engine, load_engine(EngineRequest(tiny)))
    assert verdict.passed
    assert '100.00% of the labels agree' in verdict.text


@pytest.mark.parametrize('fault', FAULTS, ids=lambda fault: fault.__name__)
def test_engine_with_a_fault_is_refused_and_the_reason_named(tiny, fault):
    verdict = compare(BrokenEngine(tiny, fault), load_engine(EngineRequest(tiny)))
    assert not verdict.passed
    assert 'broken' in verdict.text


@pytest.mark.parametrize('precision', BOUNDS)
def test_bound_of_each_precision_lets_its_rounding_pass_and_a_gross_fault_not(tiny, precision):
    bits = {'fp32': 23, 'fp16': 10}.get(precision, 7)
    rng = np.random.default_rng(0)

    def rounding(found):  # as ten layers leave it
        noise = rng.uniform(-1, 1, found['depth'].shape) * 2.0**-bits * 2
        found['depth'] *= 1 + noise.astype(np.float32)

    reference = load_engine(EngineRequest(tiny))
    assert compare(BrokenEngine(tiny, rounding, precision), reference).passed
    assert not compare(BrokenEngine(tiny, swapped_channels, precision), reference).passed


@pytest.mark.parametrize('known', [True, False])
def test_an_engine_that_is_wrong_about_the_ground_is_refused(tmp_path, known):
    path = make_tiny_model(tmp_path, ground=True)
    reference = load_engine(EngineRequest(path))

    class Deaf(BrokenEngine):
        def run(self, image, outputs=OUTPUTS, ground=None):
            if bool(ground[0, 3].any()) == known:
                ground = ground + np.float32(1)
            return self.inner.run(image, outputs, ground)

    assert compare(load_engine(EngineRequest(path)), reference).passed
    verdict = compare(Deaf(path, lambda found: None), reference)
    assert not verdict.passed
    assert ('known mount' in verdict.text) == known


def test_judge_names_the_numbers():
    truth = {
        'depth': np.full((1, 10, 10), 10, np.float32),
        'label': np.zeros((1, 10, 10), np.uint8),
        'confidence': np.full((1, 10, 10), 100, np.uint8),
    }
    found = {name: array.copy() for name, array in truth.items()}
    found['depth'][0, :2] = 10.05
    found['label'][0, 0, 0] = 3
    found['confidence'][0, :2] = 90
    verdict = judge(found, truth, BOUNDS['fp32'], 'engine x')
    assert not verdict.passed
    for words in (
        'engine x',
        '0.50% for 99 %',
        '99.00% of the labels',
        'confidence differs by 10',
    ):
        assert words in verdict.text


def test_refused_engine_is_closed_and_onnxruntime_returned(tiny, monkeypatch):
    made = []

    def load(contract, onnx_path, threads):
        made.append(BrokenEngine(tiny, swapped_channels))
        return made[-1]

    put_in_place(monkeypatch, 'broken', load)
    engine, verdict = load_checked(EngineRequest(tiny, 'broken'))
    assert engine.backend == 'onnxruntime'
    assert not verdict.passed
    assert made[0].closed
    engine.run(golden_image((64, 96)))


def test_sound_engine_is_returned_with_its_verdict(tiny, monkeypatch):
    put_in_place(monkeypatch, 'sound', lambda *_: BrokenEngine(tiny))
    engine, verdict = load_checked(EngineRequest(tiny, 'sound'))
    assert engine.backend == 'broken'
    assert verdict.passed


def test_backend_that_cannot_run_at_all_is_an_error_and_no_fallback(tiny, monkeypatch):
    def load(*_):
        raise ImportError('no module named sound')

    put_in_place(monkeypatch, 'sound', load)
    with pytest.raises(EngineError, match='pip install sound'):
        load_checked(EngineRequest(tiny, 'sound'))


@pytest.mark.parametrize(
    ('quantised', 'precision', 'name'),
    [
        (False, 'fp32', 'fp32'),
        (False, 'bf16', 'bf16'),
        (True, 'fp32', 'int8'),
        (True, 'bf16', 'int8+bf16'),
    ],
)
@pytest.mark.parametrize('exit_name', ['L', 'M', 'S', 'XS'])
def test_shipped_students_are_well_within_the_bound_in_openvino(
    quantised, precision, name, exit_name
):
    """Or `auto` would leave the faster engine aside, and only the log would tell."""
    path = shipped_contract('plain', exit_name)
    if quantised:
        path = path.parent / 'int8' / path.name
    try:
        engine = load_engine(
            EngineRequest(path, 'openvino', precision=precision, input_hw=(320, 480))
        )
    except EngineError as error:
        pytest.skip(str(error))
    bound = Bound(*(half(limit, field) for field, limit in BOUNDS[name]._asdict().items()))
    found, truth = (
        e.run(golden_image((320, 480)), ground=golden_ground(e.contract, (320, 480)))
        for e in (engine, load_engine(EngineRequest(path)))
    )
    verdict = judge(found, truth, bound, 'half the bound')
    assert verdict.passed, verdict.text


def half(limit: float, field: str) -> float:
    """Return half as much leave to differ."""
    return (1 + limit) / 2 if field == 'label' else limit / 2


@pytest.mark.parametrize('precision', ['bf16', 'int8', 'int8+bf16'])
def test_faults_of_the_shipped_student_are_outside_the_widest_bounds(precision):
    engine, image = (
        load_engine(EngineRequest(shipped_contract('plain', 'L'))),
        golden_image((320, 480)),
    )
    ground = golden_ground(engine.contract, (320, 480))
    truth = engine.run(image, ground=ground)
    nearer = {**truth, 'depth': truth['depth'] * np.float32(0.95)}
    others = (np.roll(image, 1, 2), image[..., ::-1].copy())
    aside, swapped = (engine.run(other, ground=ground) for other in others)
    for found in (nearer, aside, swapped):
        assert not judge(found, truth, BOUNDS[precision], precision).passed


# backend: auto


def only(monkeypatch, **loaders) -> None:
    """Leave ONNX Runtime and the given stand-ins as the only backends."""
    monkeypatch.delitem(engines.ENGINES, 'openvino')
    monkeypatch.delitem(engines.ENGINES, 'tensorrt')
    for name, load in loaders.items():
        put_in_place(monkeypatch, name, load)


def test_fastest_prefers_onnxruntime_unless_clearly_beaten():
    assert fastest({'onnxruntime fp32': 10.0, 'openvino fp32': 9.7}) == 'onnxruntime fp32'
    assert fastest({'onnxruntime fp32': 10.0, 'openvino bf16': 9.0}) == 'openvino bf16'
    assert fastest({'openvino fp32': 9.0, 'tensorrt fp16': 2.0}) == 'tensorrt fp16'


def test_auto_takes_the_fastest_sound_engine_and_says_why(tiny, monkeypatch):
    def broken(*_):
        return BrokenEngine(tiny, swapped_channels)

    def missing(*_):
        raise EngineError('no usable GPU. Check it')

    only(monkeypatch, sound=lambda *_: BrokenEngine(tiny), broken=broken, missing=missing)
    monkeypatch.setattr(choosing, '_race', lambda loaded, hw: dict.fromkeys(loaded, 5.0))
    reports = []
    engine, choice = choose(EngineRequest(tiny, report=reports.append))
    assert choice.backend == engine.backend == 'onnxruntime'
    assert set(choice.median_ms) == {'onnxruntime fp32', 'sound fp32'}
    for words in (
        'auto takes onnxruntime fp32',
        'sound fp32 5.0 ms',
        'missing: no usable',
        'broken fp32: ',
    ):
        assert words in reports[-1]


def test_auto_measures_once_per_machine_and_again_when_something_changed(tiny, monkeypatch):
    only(monkeypatch)
    races = []
    monkeypatch.setattr(
        choosing, '_race', lambda loaded, hw: races.append(1) or dict.fromkeys(loaded, 1.0)
    )
    for _ in range(3):
        choose(EngineRequest(tiny, threads=1))[0].close()
    assert len(races) == 1
    choose(EngineRequest(tiny, threads=2))[0].close()
    assert len(races) == 2
    monkeypatch.setattr(choosing, '_version', lambda package: 'another')
    choose(EngineRequest(tiny, threads=2))[0].close()
    assert len(races) == 3


def test_auto_measures_again_when_the_bounds_have_changed(tiny, monkeypatch):
    only(monkeypatch, sound=lambda *_: BrokenEngine(tiny))
    lines: list[str] = []
    choose(EngineRequest(tiny, report=lines.append))
    choose(EngineRequest(tiny, report=lines.append))
    assert ['measured earlier' in line for line in lines] == [False, True]
    monkeypatch.setitem(BOUNDS, 'bf16', BOUNDS['fp32'])
    choose(EngineRequest(tiny, report=lines.append))
    assert 'measured earlier' not in lines[-1]


def test_auto_measures_again_when_the_remembered_engine_fails(tiny, monkeypatch):
    works = [True]

    def load(*_):
        if not works:
            raise EngineError('gone')
        return BrokenEngine(tiny)

    only(monkeypatch, sound=load)
    monkeypatch.setattr(choosing, '_race', lambda loaded, hw: dict.fromkeys(loaded, 5.0))
    monkeypatch.setattr(choosing, 'fastest', max)  # of names: sound, if it works
    reports = []
    assert choose(EngineRequest(tiny, report=reports.append))[1].backend == 'sound'
    works.clear()
    assert choose(EngineRequest(tiny, report=reports.append))[1].backend == 'onnxruntime'
    assert any('remembered engine sound fails: gone' in line for line in reports)


def test_auto_races_the_precisions_that_may_win_unasked(tiny, monkeypatch):
    only(monkeypatch, half=lambda _, __, request: BrokenEngine(tiny, None, request.precision))
    monkeypatch.setitem(engines.PRECISIONS, 'half', ('fp32', 'bf16', 'fp16'))
    monkeypatch.setitem(choosing.RACED, 'half', ('fp32', 'bf16'))
    monkeypatch.setattr(choosing, '_race', lambda loaded, hw: {n: len(loaded) for n in loaded})
    choice = choose(EngineRequest(tiny))[1]
    assert set(choice.median_ms) == {'onnxruntime fp32', 'half fp32', 'half bf16'}
    monkeypatch.setattr(choosing, 'fastest', lambda ms: 'half bf16')
    engine, choice = choose(EngineRequest(tiny, precision='bf16'))
    assert (choice.backend, choice.precision) == ('half', 'bf16')
    assert engine.precision == 'bf16'
    assert set(choice.median_ms) == {'half bf16'}


def test_auto_with_a_cache_that_cannot_be_written_works_and_warns(tiny, monkeypatch, tmp_path):
    only(monkeypatch)
    (tmp_path / 'file').write_text('in the way', encoding='utf-8')
    reports = []
    engine, _ = choose(EngineRequest(tiny, report=reports.append), tmp_path / 'file' / 'cache')
    assert engine.backend == 'onnxruntime'
    assert 'cannot be kept' in reports[-1]


def test_auto_runs_a_real_race_between_the_installed_engines(tiny):
    engine = load_sound(EngineRequest(tiny, 'auto'))
    found = engine.run(golden_image((64, 96)))
    assert set(found) == set(engines.OUTPUTS)
    engine.close()
