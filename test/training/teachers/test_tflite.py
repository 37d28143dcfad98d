# SPDX-License-Identifier: Apache-2.0
"""The .tflite teacher: tables of classes, windows, scores; a fake interpreter and a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lightdepth_ros.classes import CLASS_ID
from lightdepth_ros.errors import ConfigError, DataError
from training.datasets.sample import Sample
from training.teachers import class_table, tflite
from training.teachers.teacher import open_teacher

ROAD, WALL, CAR, SKY = (CLASS_ID[n] for n in ('road', 'wall', 'car', 'sky'))
SHAPE = (1, 8, 12, 3)
TABLE = 'name,ours\nfloor,road\nwardrobe,wall\nceiling,\n'


class FakeInterpreter:
    """Scores each pixel by its colours: class c has `gain` times channel c, then the function."""

    def __init__(self, gain: float = 20.0, shape: tuple[int, ...] = SHAPE) -> None:
        self.gain, self.shape = gain, shape
        self.seen: list[np.ndarray] = []
        self.quantization, self.dtype = (0.0, 0), np.float32
        self.output_shape = shape

    def allocate_tensors(self) -> None: ...

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{'index': 0, 'shape': np.array(self.shape), 'dtype': self.dtype,
                 'quantization': self.quantization}]  # fmt: skip

    def get_output_details(self) -> list[dict[str, Any]]:
        auxiliary = {'index': 7, 'shape': np.array((1, 2, 2, 3)), 'quantization': (0.0, 0)}
        return [auxiliary, {'index': 1, 'shape': np.array(self.output_shape),
                            'quantization': self.quantization}]  # fmt: skip

    def set_tensor(self, _index: int, values: np.ndarray) -> None:
        assert values.shape == self.shape
        assert values.dtype == self.dtype
        self.seen.append(values)

    def invoke(self) -> None: ...

    def get_tensor(self, index: int) -> np.ndarray:
        assert index == 1
        return self.seen[-1] * self.gain if self.dtype == np.float32 else self.seen[-1]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / 'net.tflite'
    path.write_bytes(b'weights')
    (tmp_path / 'net.csv').write_text(TABLE)
    return path


def opened(monkeypatch, model: Path, fake: FakeInterpreter, **options: str):
    monkeypatch.setattr(tflite, 'make_interpreter', lambda _source, _threads: fake)
    return open_teacher(f'tflite:{model}', options)


def frame(hw: tuple[int, int] = (16, 24)) -> Sample:
    """Return red on the left (class 0), green in the middle (1) and blue on the right (2)."""
    rgb = np.zeros((*hw, 3), np.uint8)
    for k in range(3):
        rgb[:, k * hw[1] // 3 : (k + 1) * hw[1] // 3, k] = 255
    return Sample(rgb, None, None, None, 'rgb')


def test_classes_follow_the_table_and_what_is_none_of_ours_is_unlabelled(monkeypatch, model):
    output = opened(monkeypatch, model, FakeInterpreter())(frame())
    assert output.label_id.shape == (16, 24)
    columns = output.label_id[8, [3, 12, 20]].tolist()
    assert columns == [ROAD, WALL, 255]
    assert output.probabilities.shape == (19, 16, 24)
    assert output.probabilities[ROAD, 8, 3] > 0.99
    assert output.confidence[8, 3] > 250


def test_the_teacher_says_what_made_its_labels(monkeypatch, model):
    teacher = opened(monkeypatch, model, FakeInterpreter(), flip='1', pixels='unit')
    assert teacher.options['model'] == 'net.tflite'
    assert teacher.options['unmapped'] == ['ceiling']
    assert (teacher.options['flip'], teacher.options['pixels']) == (1, 'unit')
    assert len(teacher.weights_sha256) == 64
    assert 'threads' not in teacher.options


@pytest.mark.parametrize(
    ('pixels', 'low', 'high'),
    [('signed', -1, 1), ('unit', 0, 1), ('raw', 0, 255), ('imagenet', -2.118, 2.64)],
)
def test_pixels_reach_the_network_as_asked(monkeypatch, model, pixels, low, high):
    fake = FakeInterpreter()
    opened(monkeypatch, model, fake, pixels=pixels)(frame())
    values = np.concatenate(fake.seen)
    assert values.min() == pytest.approx(low, abs=0.01)
    assert values.max() == pytest.approx(high, abs=0.01)


def test_flipping_looks_twice_and_agrees_with_itself(monkeypatch, model):
    fake = FakeInterpreter()
    output = opened(monkeypatch, model, fake, flip='1')(frame())
    assert len(fake.seen) == 2
    np.testing.assert_allclose(fake.seen[1], fake.seen[0][:, :, ::-1], atol=1e-6)
    assert output.label_id[8, [3, 12]].tolist() == [ROAD, WALL]


def test_a_wide_frame_is_seen_through_windows_of_the_networks_shape(monkeypatch, model):
    fake = FakeInterpreter()
    output = opened(monkeypatch, model, fake)(frame((16, 96)))
    assert len(fake.seen) == len(tflite.windows(96, 24)) > 4
    assert output.label_id[8, [10, 45, 90]].tolist() == [ROAD, WALL, 255]


@pytest.mark.parametrize(('size', 'window'), [(1242, 375), (100, 100), (101, 100), (80, 100)])
def test_windows_cover_everything_and_overlap(size, window):
    starts = tflite.windows(size, window)
    assert starts[0] == 0
    assert starts[-1] + window >= size
    assert (np.diff(starts) <= (1 - tflite.OVERLAP) * window + 1).all()


def test_channels_may_come_first(monkeypatch, model):
    fake = FakeInterpreter(shape=(1, 3, 8, 12))
    output = opened(monkeypatch, model, fake)(frame())
    assert output.label_id[8, [3, 12, 20]].tolist() == [ROAD, WALL, 255]


def test_quantised_tensors_are_read_by_their_scale(monkeypatch, model):
    fake = FakeInterpreter()
    fake.quantization, fake.dtype = (1 / 255, 0), np.uint8
    teacher = opened(monkeypatch, model, fake, pixels='unit', scores='chances')
    output = teacher(frame())
    assert fake.seen[0].max() == 255
    assert output.probabilities[ROAD, 8, 3] == pytest.approx(1, abs=0.01)


def test_logits_and_chances_are_told_apart():
    logits = np.array([[[2.0, 0.0, -1.0]]], np.float32)
    chances = tflite.chances_of(logits, 'auto')
    assert chances.sum() == pytest.approx(1)
    np.testing.assert_array_equal(tflite.chances_of(chances, 'auto'), chances)
    np.testing.assert_allclose(tflite.chances_of(logits, 'logits'), chances)


def test_a_model_that_is_no_segmenter_is_refused(monkeypatch, model):
    with pytest.raises(DataError, match=r'the first of shape \[1, 10\]'):
        opened(monkeypatch, model, FakeInterpreter(shape=(1, 10)))
    ids = FakeInterpreter()
    ids.get_tensor = lambda _index: np.zeros((1, 8, 12), np.int64)
    with pytest.raises(DataError, match='without its last step, the arg max'):
        opened(monkeypatch, model, ids)(frame())
    (model.parent / 'net.csv').write_text('name,ours\nfloor,road\n')
    with pytest.raises(DataError, match='3 scores a pixel, its table of classes has 1 rows'):
        opened(monkeypatch, model, FakeInterpreter())(frame())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'pixels': 'bgr'}, "pixels is 'bgr'"),
        ({'scores': 'votes'}, "scores is 'votes'"),
        ({'flip': '2'}, 'flip is 2'),
        ({'least_confidence': '1'}, 'least_confidence is 1'),
        ({'size': '3'}, "no option 'size'"),
    ],
)
def test_wrong_options_are_refused(monkeypatch, model, options, message):
    with pytest.raises(ConfigError, match=message):
        opened(monkeypatch, model, FakeInterpreter(), **options)


def test_a_missing_library_is_named_with_its_remedy(monkeypatch, model):
    monkeypatch.setitem(__import__('sys').modules, 'ai_edge_litert.interpreter', None)
    with pytest.raises(ConfigError, match='pip install ai-edge-litert'):
        open_teacher(f'tflite:{model}')
    with pytest.raises(ConfigError, match='name a model file'):
        open_teacher('tflite')


def space_of(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    return class_table.read_table(tmp_path / name)


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('a.csv', 'name\n"road, route"\nceiling\nautomobile\n'),
        ('a.csv', 'name,ours,note\nx,road,1\ny,,2\nz,car,3\n'),
        ('a.json', '["road", "ceiling", "car"]'),
        ('a.json', '{"x": "road", "y": null, "z": "car"}'),
    ],
)
def test_tables_are_read_in_every_form(tmp_path, name, text):
    space = space_of(tmp_path, name, text)
    expected = np.zeros((19, 3), np.float32)
    expected[ROAD, 0] = expected[CAR, 2] = 1
    np.testing.assert_array_equal(space.matrix, expected)
    assert len(space.unmapped) == 1


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('a.csv', 'class\nroad\n', r"no column \"name\"; its columns are \['class'\]"),
        ('a.csv', 'name,ours\nfloor,rood\n', r"'floor' is said to be 'rood'"),
        ('a.csv', 'name\nceiling\n', r'none of its classes is one of ours \(ceiling'),
        ('a.csv', 'name\n', 'names no class'),
        ('a.json', '{', 'is no JSON'),
        ('a.json', '{"x": 3}', 'a list of names is expected'),
    ],
)
def test_wrong_tables_are_refused(tmp_path, name, text, message):
    with pytest.raises(DataError, match=message):
        space_of(tmp_path, name, text)


def test_the_table_lies_beside_the_model_or_where_the_option_says(monkeypatch, model, tmp_path):
    other = tmp_path / 'other.json'
    other.write_text('["sky", "wall", "car"]')
    teacher = opened(monkeypatch, model, FakeInterpreter(), classes=str(other))
    assert teacher(frame()).label_id[8, 3] == SKY
    (tmp_path / 'net.csv').unlink()
    with pytest.raises(DataError, match=r'write net.csv or net.json beside it'):
        opened(monkeypatch, model, FakeInterpreter())


def tiny_tflite(path: Path) -> None:
    """Write a network of one 1x1 convolution: 20 times each colour is a class's score."""
    flatbuffers = pytest.importorskip('flatbuffers')
    schema = pytest.importorskip('ai_edge_litert.schema_py_generated')

    def tensor(shape: list[int], buffer: int, name: str) -> Any:
        made = schema.TensorT()
        made.shape, made.buffer, made.name, made.type = shape, buffer, name, 0  # 0: float32
        return made

    def buffer(values: np.ndarray | None) -> Any:
        made = schema.BufferT()
        made.data = None if values is None else np.frombuffer(values.tobytes(), np.uint8)
        return made

    weights = (20 * np.eye(3, dtype=np.float32)).reshape(3, 1, 1, 3)
    options = schema.Conv2DOptionsT()
    options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
    step = schema.OperatorT()
    step.opcodeIndex, step.inputs, step.outputs = 0, [0, 1, 2], [3]
    step.builtinOptionsType, step.builtinOptions = schema.BuiltinOptions.Conv2DOptions, options
    graph = schema.SubGraphT()
    graph.tensors = [tensor(list(SHAPE), 0, 'picture'), tensor([3, 1, 1, 3], 1, 'weights'),
                     tensor([3], 2, 'bias'), tensor(list(SHAPE), 0, 'scores')]  # fmt: skip
    graph.inputs, graph.outputs, graph.operators = [0], [3], [step]
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CONV_2D
    code.version = 1
    made = schema.ModelT()
    made.version, made.subgraphs, made.operatorCodes = 3, [graph], [code]
    made.buffers = [buffer(None), buffer(weights), buffer(np.zeros(3, np.float32))]
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), b'TFL3')
    path.write_bytes(bytes(builder.Output()))


def test_a_real_file_is_run_by_the_real_interpreter(model):
    tiny_tflite(model)
    output = open_teacher(f'tflite:{model}')(frame((16, 48)))
    assert output.label_id[8, [5, 24, 42]].tolist() == [ROAD, WALL, 255]
    assert output.probabilities[ROAD, 8, 5] > 0.99


def test_a_file_that_is_no_model_is_named(tmp_path):
    pytest.importorskip('ai_edge_litert')
    path = tmp_path / 'net.tflite'
    path.write_bytes(b'nothing of use' * 9)
    with pytest.raises(DataError, match=r'LiteRT cannot load .*net.tflite'):
        open_teacher(f'tflite:{path}')
    with pytest.raises(DataError, match=r'there is no model .*none.tflite'):
        open_teacher(f'tflite:{tmp_path / "none.tflite"}')
