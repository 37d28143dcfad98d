# SPDX-License-Identifier: Apache-2.0
"""The cache gives back what was made, and heals itself."""

from dataclasses import replace

import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from training.datasets.cached import Cached, source_hash
from training.datasets.sample import Sample
from training.datasets.synthetic_lidar import LidarScenes


class Counting:
    """Two samples; counts how often each was made."""

    name = 'counting'

    def __init__(self) -> None:
        self.made = [0, 0]

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        self.made[index] += 1
        rgb = np.full((4, 6, 3), index, np.uint8)
        depth = np.full((4, 6), 2.5 + index, np.float32)
        label = np.full((4, 6), index, np.uint8)
        return Sample(rgb, Camera(6, 4, 5.0, 5.5, 2.5, 1.5), depth, label, f'counting-{index:06d}')


def test_second_reading_comes_from_disk_and_is_equal(tmp_path):
    source = Counting()
    first, again = Cached(source, tmp_path)[1], Cached(source, tmp_path)[1]
    assert source.made == [0, 1]
    assert first.camera == again.camera
    assert first.name == again.name
    for name in ('rgb', 'depth_m', 'label_id'):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert getattr(first, name).dtype == getattr(again, name).dtype


def test_damaged_file_is_made_again(tmp_path):
    source = Counting()
    cached = Cached(source, tmp_path)
    cached[0]
    path = tmp_path / '000000.npz'
    path.write_bytes(path.read_bytes()[:100])
    assert cached[0].depth_m[0, 0] == np.float32(2.5)
    assert source.made == [2, 0]
    cached[0]
    assert source.made == [2, 0]


def test_hash_follows_the_code(tmp_path):
    (tmp_path / 'a.py').write_text('x = 1\n')
    before = source_hash(tmp_path)
    (tmp_path / 'a.py').write_text('x = 2\n')
    assert source_hash(tmp_path) != before


def test_stereo_pairs_keep_their_right_image_and_baseline(tmp_path):
    class Pairs(Counting):
        def __getitem__(self, index: int) -> Sample:
            left = super().__getitem__(index)
            return replace(left, right_rgb=left.rgb + np.uint8(7), baseline_m=0.54)

    first, again = Cached(Pairs(), tmp_path)[1], Cached(Pairs(), tmp_path)[1]
    np.testing.assert_array_equal(again.right_rgb, first.right_rgb)
    assert again.baseline_m == 0.54


@pytest.mark.slow
def test_lidar_scenes_have_one_name_whether_made_or_read(tmp_path):
    """A label store finds its frames by name: made at the first reading, used at the second."""
    scenes = LidarScenes(1, seed=3)
    assert Cached(scenes, tmp_path)[0].name == Cached(scenes, tmp_path)[0].name
