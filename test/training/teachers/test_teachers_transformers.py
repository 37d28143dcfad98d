# SPDX-License-Identifier: Apache-2.0
"""Teachers from `transformers`: tiny random models, saved to disk and loaded by the real path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
library = pytest.importorskip('transformers')

from lightdepth_ros.camera import Camera  # noqa: E402
from lightdepth_ros.classes import CLASS_ID, UNLABELLED  # noqa: E402
from lightdepth_ros.errors import ConfigError, DataError  # noqa: E402
from training.datasets.sample import Sample  # noqa: E402
from training.teachers.label_space import map_names  # noqa: E402
from training.teachers.relative import metric_depth, robust_line  # noqa: E402
from training.teachers.teacher import open_teacher  # noqa: E402

pytestmark = pytest.mark.torch

NAMES = {0: 'road', 1: 'sky', 2: 'car', 3: 'flying carpet'}
HW = (70, 100)


def labels(names: dict[int, str] = NAMES) -> dict:
    return {'id2label': names, 'label2id': {v: k for k, v in names.items()}}


def segformer() -> tuple:
    config = library.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], hidden_sizes=[8, 16], num_attention_heads=[1, 2],
        decoder_hidden_size=8, sr_ratios=[4, 2], patch_sizes=[7, 3], strides=[4, 2],
        mlp_ratios=[2, 2], **labels(),
    )  # fmt: skip
    return library.SegformerForSemanticSegmentation(config), library.SegformerImageProcessorPil()


def deeplab() -> tuple:
    config = library.MobileNetV2Config(
        depth_multiplier=0.25, output_stride=8,
        **labels({0: 'background', 1: 'aeroplane', 2: 'car', 3: 'person'}),
    )  # fmt: skip
    model = library.MobileNetV2ForSemanticSegmentation(config)
    return model, library.MobileNetV2ImageProcessorPil()


def mask2former() -> tuple:
    backbone = library.SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=4,
        out_features=['stage1', 'stage2', 'stage3', 'stage4'],
    )  # fmt: skip
    config = library.Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16,
        encoder_feedforward_dim=16, num_queries=4, **labels(),
    )  # fmt: skip
    model = library.Mask2FormerForUniversalSegmentation(config)
    return model, library.Mask2FormerImageProcessorPil()


def depth_anything(kind: str = 'relative') -> tuple:
    backbone = library.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14,
        out_features=['stage1', 'stage2'], reshape_hidden_states=False,
    )  # fmt: skip
    config = library.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, patch_size=14,
        neck_hidden_sizes=[8, 8], fusion_hidden_size=8, head_hidden_size=8,
        reassemble_factors=[1, 0.5], depth_estimation_type=kind, max_depth=80,
    )  # fmt: skip
    processor = library.DPTImageProcessorPil(
        size={'height': 56, 'width': 56}, keep_aspect_ratio=True, ensure_multiple_of=14
    )
    return library.DepthAnythingForDepthEstimation(config), processor


def dpt() -> tuple:
    config = library.DPTConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32,
        image_size=32, patch_size=16, backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
    )  # fmt: skip
    processor = library.DPTImageProcessorPil(size={'height': 64, 'width': 64})
    return library.DPTForDepthEstimation(config), processor


def zoedepth() -> tuple:
    backbone = library.BeitConfig(
        image_size=32, num_hidden_layers=4, hidden_size=16, intermediate_size=16,
        num_attention_heads=2, out_features=['stage1', 'stage2', 'stage3', 'stage4'],
        reshape_hidden_states=False, use_relative_position_bias=True,
    )  # fmt: skip
    config = library.ZoeDepthConfig(
        backbone_config=backbone, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
        bottleneck_features=8, num_relative_features=8, bin_embedding_dim=8,
        num_attractors=[4, 2, 1, 1],
        bin_configurations=[{'n_bins': 8, 'min_depth': 0.001, 'max_depth': 80.0, 'name': 'kitti'}],
    )  # fmt: skip
    processor = library.ZoeDepthImageProcessorPil(
        size={'height': 64, 'width': 64}, ensure_multiple_of=16
    )
    return library.ZoeDepthForDepthEstimation(config), processor


def save(folder: Path, parts: tuple) -> str:
    for part in parts:
        part.save_pretrained(folder)
    return f'transformers:{folder}'


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def sample() -> Sample:
    rng = np.random.default_rng(0)
    depth = np.zeros(HW, np.float32)
    depth[40::2, ::3] = 5 + 30 * rng.random(depth[40::2, ::3].shape)
    rgb = rng.integers(0, 256, (*HW, 3), dtype=np.uint8)
    return Sample(rgb, Camera.from_fov(HW[1], HW[0], 60), depth, None, 'frame')


@pytest.mark.parametrize('make', [segformer, deeplab, mask2former])
def test_semantic_teacher_gives_labels_chances_and_confidence(make, tmp_path, sample):
    teacher = open_teacher(save(tmp_path, make()), {'least_confidence': '0'})
    output = teacher(sample)
    assert output.label_id.shape == output.confidence.shape == HW
    assert output.probabilities.shape == (19, *HW)
    total = output.probabilities.sum(0)
    assert output.probabilities.min() >= 0
    assert total.max() <= 1 + 1e-4
    mapped = {CLASS_ID[n] for n in ('road', 'sky', 'car', 'person')}
    silent = [i for i in range(19) if i not in mapped]
    assert not output.probabilities[silent].any()
    labelled = output.label_id != UNLABELLED
    assert np.array_equal(output.label_id[labelled], output.probabilities.argmax(0)[labelled])
    foreign = 1 - total
    assert (output.probabilities.max(0)[~labelled] < foreign[~labelled]).all()
    assert output.depth_m is None


def test_labels_equal_the_argmax_of_the_models_own_logits(tmp_path, sample):
    names = {0: 'car', 1: 'sky', 2: 'road'}
    model, processor = segformer()
    model.config.id2label = names
    model.decode_head.classifier = torch.nn.Conv2d(8, 3, 1)
    model.config.num_labels = 3
    teacher = open_teacher(save(tmp_path, (model, processor)), {'least_confidence': '0'})
    output = teacher(sample)
    inputs = processor(images=sample.rgb, return_tensors='pt', size={'height': 64, 'width': 96})
    with torch.no_grad():
        chances = model.eval()(**inputs).logits.softmax(1)
    full = torch.nn.functional.interpolate(chances, HW, mode='bilinear')[0]
    expected = np.array([CLASS_ID[names[i]] for i in range(3)])[full.argmax(0).numpy()]
    # The processor resizes with PIL, the teacher with OpenCV: a few pixels may differ.
    assert (output.label_id == expected).mean() > 0.95


def test_unsure_labels_become_unlabelled(tmp_path, sample):
    place = save(tmp_path, segformer())
    output = open_teacher(place, {'least_confidence': '0.999'})(sample)
    assert (output.label_id == UNLABELLED).all()
    assert output.probabilities.max() > 0


def test_unmapped_class_names_are_reported(tmp_path, sample, capsys):
    teacher = open_teacher(save(tmp_path, segformer()))
    assert teacher.options['unmapped'] == ['flying carpet']
    assert 'flying carpet' in capsys.readouterr().err


@pytest.mark.parametrize('make', [depth_anything, dpt])
def test_relative_depth_is_scaled_by_the_frames_sparse_truth(make, tmp_path, sample):
    output = open_teacher(save(tmp_path, make()))(sample)
    assert output.depth_m.shape == HW
    assert output.depth_m.dtype == np.float32
    known = (sample.depth_m > 0) & (output.depth_m > 0)
    ratio = np.median(output.depth_m[known] / sample.depth_m[known])
    assert 0.7 < ratio < 1.4  # random truth, random network: only the scale can agree


@pytest.mark.parametrize('truth', [None, 'too few'])
def test_relative_depth_without_truth_is_refused_and_names_the_frame(truth, tmp_path, sample):
    depth = None if truth is None else np.zeros(HW, np.float32)
    bare = Sample(sample.rgb, sample.camera, depth, None, 'frame 7')
    with pytest.raises(DataError, match=r'frame 7.*relative \(inverse\).*lidar'):
        open_teacher(save(tmp_path, depth_anything()))(bare)


@pytest.mark.parametrize('make', [lambda: depth_anything('metric'), zoedepth])
def test_metric_depth_needs_no_truth_and_keeps_its_metres(make, tmp_path, sample):
    bare = Sample(sample.rgb, None, None, None, 'frame')
    output = open_teacher(save(tmp_path, make()))(bare)
    known = output.depth_m > 0
    assert known.any()
    assert output.depth_m[known].min() >= 0.1
    assert output.depth_m.max() <= 81


def test_the_kind_option_overrides_the_config(tmp_path, sample):
    teacher = open_teacher(save(tmp_path, depth_anything()), {'kind': 'affine'})
    assert teacher.options['kind'] == 'affine'


def test_weights_hash_follows_the_weights(tmp_path):
    torch.manual_seed(1)
    first = open_teacher(save(tmp_path / 'a', segformer())).weights_sha256
    again = open_teacher(f'transformers:{tmp_path / "a"}').weights_sha256
    other = open_teacher(save(tmp_path / 'b', segformer())).weights_sha256
    assert first == again != other


@pytest.mark.parametrize(
    ('argument', 'options', 'error', 'words'),
    [
        ('', {}, ConfigError, 'name a model folder'),
        ('/no/such/folder', {}, DataError, 'there is no folder /no/such/folder'),
        ('SAVED', {'kind': 'best'}, ConfigError, 'kind is'),
        ('SAVED', {'colour': 'red'}, ConfigError, "no option 'colour'"),
        ('SAVED', {'height_px': 'tall'}, ConfigError, "height_px is 'tall'"),
    ],
)
def test_wrong_arguments_say_what_is_right(argument, options, error, words, tmp_path):
    if argument == 'SAVED':
        save(tmp_path, segformer())
        argument = str(tmp_path)
    with pytest.raises(error, match=words):
        open_teacher(f'transformers:{argument}', options)


def test_a_model_for_another_task_is_refused(tmp_path):
    config = library.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    library.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(DataError, match='BertModel'):
        open_teacher(f'transformers:{tmp_path}')


def test_a_local_folder_touches_no_network(tmp_path, sample, monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError('a network connection was tried')

    place = save(tmp_path, segformer())
    monkeypatch.setattr(socket.socket, 'connect', refuse)
    open_teacher(place)(sample)


def test_the_file_does_not_hide_the_library():
    import training.teachers.transformers as ours

    assert ours.AutoConfig is library.AutoConfig
    assert not library.__file__.startswith(str(Path(ours.__file__).parent))


@pytest.mark.parametrize(
    ('name', 'ours'),
    [
        ('road, route', 'road'),
        ('traffic light', 'traffic_light'),
        ('streetlight, street lamp', 'pole'),
        ('car, auto, automobile, machine, motorcar', 'car'),
        ('minibike, motorbike', 'motorcycle'),
        ('motorbike', 'motorcycle'),
        ('Lane Marking - General', 'road'),
        ('SignSymbol', 'traffic_sign'),
        ('grass', 'terrain'),
        ('pottedplant', 'vegetation'),
        ('person, individual, someone, somebody, mortal, soul', 'person'),
        ('Bicyclist', 'rider'),
    ],
)
def test_class_names_of_other_data_sets_are_mapped(name, ours):
    space = map_names({0: 'no such thing', 1: name})
    assert space.matrix[:, 1].argmax() == CLASS_ID[ours]
    assert space.matrix[:, 1].sum() == 1
    assert space.unmapped == ('no such thing',)


@pytest.mark.parametrize('name', ['background', 'aeroplane', 'ceiling', 'bed', 'cow', 'water'])
def test_classes_that_are_none_of_ours_stay_unmapped(name):
    assert map_names({0: name}).unmapped == (name,)


def test_our_own_names_map_one_to_one():
    space = map_names({i: name for name, i in CLASS_ID.items()})
    assert np.array_equal(space.matrix, np.eye(19, dtype=np.float32))


def test_inverse_depth_is_recovered_in_spite_of_points_that_see_past():
    rng = np.random.default_rng(3)
    depth = 4 + 60 * rng.random((60, 80))
    relative = (1 / depth - 0.003) / 0.02
    truth = np.where(rng.random(depth.shape) < 0.2, depth, 0).astype(np.float32)
    wrong = (rng.random(depth.shape) < 0.1) & (truth > 0)
    truth[wrong] *= 3
    found = metric_depth(relative, 'inverse', truth, 'frame')
    np.testing.assert_allclose(found, depth, rtol=0.01)


def test_affine_depth_is_recovered():
    depth = np.linspace(3, 70, 400).reshape(20, 20)
    found = metric_depth((depth + 5) / 7, 'affine', depth.astype(np.float32), 'frame')
    np.testing.assert_allclose(found, depth, rtol=1e-4)


def test_a_constant_prediction_does_not_break_the_fit():
    scale, shift = robust_line(np.ones(200), np.full(200, 0.1))
    assert scale + shift == pytest.approx(0.1)
