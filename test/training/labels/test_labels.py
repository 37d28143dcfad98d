# SPDX-License-Identifier: Apache-2.0
"""The label store: what is written comes back, damage is found, shards stay apart."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import ConfigError, DataError
from training.datasets.catalog import open_dataset
from training.datasets.frames import Frame, Frames, Joined
from training.datasets.sample import Sample
from training.labels.files import (
    Description,
    ManifestWriter,
    describe,
    is_whole,
    prepare,
    read_frame,
    read_rows,
    row_from_json,
    write_frame,
)
from training.labels.labelled import Labelled, name_of

HW = (12, 20)


def maps(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    depth = (80 * rng.random(HW)).astype(np.float32)
    depth[:2] = 0
    label = rng.integers(0, 19, HW).astype(np.uint8)
    label[0] = 255
    return {
        'depth_m': depth,
        'label_id': label,
        'confidence': rng.integers(0, 256, HW).astype(np.uint8),
    }


def store(folder: Path, names: list[str], shard: int = 0, shards: int = 1) -> None:
    prepare(folder, Description('kitti-raw', 'psmnet', 'ab12', {'scale': 1.0}))
    with ManifestWriter(folder, shard, shards) as manifest:
        for name in names:
            manifest.add(write_frame(folder, name, maps(), {'lidar_points': 3}))


def test_maps_come_back_with_the_precision_of_the_format(tmp_path):
    store(tmp_path, ['a'])
    row = read_rows(tmp_path)['a']
    found = read_frame(tmp_path, row)
    assert row.size_hw == HW
    assert row.notes == {'lidar_points': 3}
    np.testing.assert_allclose(found['depth_m'], maps()['depth_m'], atol=0.5 / 256)
    assert found['depth_m'].dtype == np.float32
    np.testing.assert_array_equal(found['label_id'], maps()['label_id'])
    np.testing.assert_array_equal(found['confidence'], maps()['confidence'])


def test_depth_files_follow_kittis_convention(tmp_path):
    depth = np.array([[0, 1.5, 80, 300]], np.float32)
    row = write_frame(tmp_path, 'a', {'depth_m': depth}, {})
    raw = cv2.imread(str(tmp_path / row.files['depth'][0]), cv2.IMREAD_UNCHANGED)
    assert raw.dtype == np.uint16
    np.testing.assert_array_equal(raw, [[0, 384, 20480, 65535]])
    assert list(row.files) == ['depth']


def test_description_is_kept_and_another_one_refused(tmp_path):
    store(tmp_path, ['a'])
    assert describe(tmp_path).teacher == 'psmnet'
    assert 'metres x 256' in describe(tmp_path).units['depth']
    prepare(tmp_path, describe(tmp_path))
    other = Description('kitti-raw', 'psmnet', 'cd34', {'scale': 0.5})
    with pytest.raises(ConfigError, match=r"weights_sha256: there 'ab12', now 'cd34'") as error:
        prepare(tmp_path, other)
    assert 'options' in str(error.value)


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    with pytest.raises(DataError, match='make_labels'):
        describe(tmp_path)


@pytest.mark.parametrize('kind', ['depth', 'label', 'confidence'])
@pytest.mark.parametrize('damage', ['cut off', 'gone', 'other picture', 'one bit'])
def test_damage_to_any_file_is_found(kind, damage, tmp_path):
    store(tmp_path, ['a', 'b'])
    rows = read_rows(tmp_path)
    path = tmp_path / rows['a'].files[kind][0]
    data = path.read_bytes()
    if damage == 'cut off':
        path.write_bytes(data[: len(data) // 2])
    elif damage == 'gone':
        path.unlink()
    elif damage == 'other picture':
        write_frame(tmp_path, 'a', maps(1), {})
    else:
        path.write_bytes(data[:60] + bytes([data[60] ^ 1]) + data[61:])
    assert not is_whole(tmp_path, rows['a'])
    assert is_whole(tmp_path, rows['b'])


def test_a_half_written_line_is_ignored_and_repaired(tmp_path):
    store(tmp_path, ['a', 'b', 'c'])
    path = tmp_path / 'manifest-0-of-1.jsonl'
    text = path.read_text()
    path.write_text(text[:-25])
    assert set(read_rows(tmp_path)) == {'a', 'b'}
    store(tmp_path, ['c', 'd'])
    assert set(read_rows(tmp_path)) == {'a', 'b', 'c', 'd'}
    assert all(row_from_json(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize(
    'line', ['', '[]', '{"name": "a"}', '{"name": "a", "files": [], "size_hw": 3}', '\x00\x00']
)
def test_a_line_that_is_no_row_is_none(line):
    assert row_from_json(line) is None


def test_shards_write_manifests_of_their_own_and_read_as_one(tmp_path):
    store(tmp_path, ['a', 'c'], 0, 2)
    store(tmp_path, ['b'], 1, 2)
    store(tmp_path, ['d'], 0, 1)
    assert set(read_rows(tmp_path)) == {'a', 'b', 'c', 'd'}
    assert len(list(tmp_path.glob('manifest-*'))) == 3


def test_a_frame_made_again_counts_by_its_last_line(tmp_path):
    store(tmp_path, ['a'])
    with ManifestWriter(tmp_path, 0, 1) as manifest:
        manifest.add(write_frame(tmp_path, 'a', maps(1), {}))
    row = read_rows(tmp_path)['a']
    assert is_whole(tmp_path, row)
    np.testing.assert_array_equal(read_frame(tmp_path, row)['label_id'], maps(1)['label_id'])


def test_no_temporary_file_is_left(tmp_path):
    store(tmp_path, ['drive/0001', 'drive/0002'])
    names = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob('*') if p.is_file()}
    kinds = ('depth', 'label', 'confidence')
    expected = {f'{k}/drive/{n}.png' for k in kinds for n in ('0001', '0002')}
    assert names == expected | {'labels.json', 'manifest-0-of-1.jsonl'}


@pytest.mark.parametrize('name', ['../up', '/root', 'a/../../b', '', 'a\\b'])
def test_names_that_would_leave_the_folder_are_refused(name, tmp_path):
    with pytest.raises(DataError, match='relative path'):
        write_frame(tmp_path, name, maps(), {})


class Two:
    """A data set of two frames, the second with labels of its own."""

    name = 'two'

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        own = np.full(HW, 3, np.uint8) if index else None
        camera = Camera.from_fov(HW[1], HW[0], 60)
        return Sample(np.zeros((*HW, 3), np.uint8), camera, None, own, 'ab'[index])


def test_a_labelled_data_set_carries_teacher_depth_and_keeps_true_labels(tmp_path):
    store(tmp_path, ['a', 'b'])
    dataset = Labelled(Two(), tmp_path)
    first, second = dataset[0], dataset[1]
    np.testing.assert_allclose(first.teacher_depth_m, maps()['depth_m'], atol=0.5 / 256)
    np.testing.assert_array_equal(first.label_id, maps()['label_id'])
    assert (second.label_id == 3).all()
    assert len(dataset) == 2


def test_depth_and_labels_may_come_from_two_stores(tmp_path):
    for kind, name in (('depth_m', 'depth'), ('label_id', 'label')):
        with ManifestWriter(tmp_path / name, 0, 1) as manifest:
            prepare(tmp_path / name, Description('two', 'fake'))
            manifest.add(write_frame(tmp_path / name, 'a', {kind: maps()[kind]}, {}))
    sample = Labelled(Labelled(Two(), tmp_path / 'depth'), tmp_path / 'label')[0]
    np.testing.assert_allclose(sample.teacher_depth_m, maps()['depth_m'], atol=0.5 / 256)
    np.testing.assert_array_equal(sample.label_id, maps()['label_id'])


def test_a_store_of_joined_data_sets_serves_each_of_them(tmp_path):
    store(tmp_path, ['two/a', 'other/a'])
    assert Labelled(Two(), tmp_path)[0].teacher_depth_m is not None


def test_the_catalog_opens_a_data_set_with_its_labels(tmp_path):
    cv2.imwrite(str(tmp_path / 'image.png'), np.zeros((*HW, 3), np.uint8))
    (tmp_path / 'manifest.csv').write_text('id,image\na,image.png\n')
    store(tmp_path / 'labels', ['a'])
    sample = open_dataset(f'manifest@{tmp_path}%{tmp_path / "labels"}')[0]
    np.testing.assert_array_equal(sample.label_id, maps()['label_id'])
    assert (sample.teacher_depth_m > 0).any()


def test_frames_without_a_label_come_as_they_are(tmp_path):
    store(tmp_path, ['b'])
    assert Labelled(Two(), tmp_path)[0].teacher_depth_m is None


def test_an_empty_store_is_refused(tmp_path):
    store(tmp_path, [])
    with pytest.raises(DataError, match='no finished label'):
        Labelled(Two(), tmp_path)


def test_labels_of_another_image_size_are_refused(tmp_path):
    store(tmp_path, ['a'])
    path = tmp_path / 'manifest-0-of-1.jsonl'
    row = json.loads(path.read_text())
    path.write_text(json.dumps(row | {'size_hw': [99, 99]}) + '\n')
    with pytest.raises(DataError, match='another data set'):
        Labelled(Two(), tmp_path)[0]


def test_names_are_known_without_reading_images(tmp_path):
    frames = [Frames(n, [Frame(f'{n}{i}', tmp_path / 'none.png') for i in range(2)]) for n in 'xy']
    joined = Joined('both', frames)
    assert [name_of(joined, i) for i in range(4)] == ['x/x0', 'x/x1', 'y/y0', 'y/y1']
    assert name_of(frames[1], 1) == 'y1'
    assert name_of(Two(), 0) is None
