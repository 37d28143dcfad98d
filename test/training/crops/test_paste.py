# SPDX-License-Identifier: Apache-2.0
"""Obstacles are cut out whole, and stand on the ground at their size and depth."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('torch')

from lightdepth_ros.camera import Camera
from lightdepth_ros.classes import CLASS_ID, UNLABELLED
from training.config import CANONICAL_FOCAL_PX, TrainConfig
from training.crops import paste, props, truth
from training.crops.stream import CropStream
from training.datasets.sample import Sample

pytestmark = pytest.mark.torch
ROAD, PERSON, CAR, BICYCLE, RIDER, SKY = (
    CLASS_ID[name] for name in ('road', 'person', 'car', 'bicycle', 'rider', 'sky')
)
FOCAL = 600.0


def scene(*, human: bool = False, depth: bool = True) -> Sample:
    """Sky over road; a person of 60 rows, a person cut by the border, a car of 1.5 m at 12 m."""
    label = np.full((200, 320), SKY, np.uint8)
    label[90:] = ROAD
    label[60:120, 50:70] = PERSON
    label[60:160, 0:20] = PERSON
    label[80:155, 150:250] = CAR
    rgb = np.full((200, 320, 3), 90, np.uint8)
    rgb[label == PERSON] = (200, 30, 30)
    teacher = np.zeros(label.shape, np.float32)
    rows = np.arange(91, 200)
    teacher[91:] = (FOCAL * 1.5 / (rows - 90))[:, None]
    teacher[80:155, 150:250] = 12
    nav7 = np.where(label == PERSON, 2, 255).astype(np.uint8) if human else None
    camera = Camera(320, 200, FOCAL, FOCAL, 159.5, 90.0)
    return Sample(rgb, camera if depth else None, None, label, 's', teacher if depth else None,
                  nav7_id=nav7)  # fmt: skip


def example_of(sample: Sample, config: TrainConfig) -> dict:
    from training.crops import augment

    focal = sample.camera.fx if sample.camera else 0.0
    view = augment.View(np.array([[1.0, 0, 0], [0, 1.0, 0]]), sample.rgb.shape[:2], focal)
    return truth.crop(sample, view, config)


def config(**changes: object) -> TrainConfig:
    plain = {'photometric': 0, 'paste': 0, 'restyle': 0, 'vertical_jitter': 1}
    return TrainConfig(sources='a:1', crops='192x320', **(plain | changes))


def test_only_whole_things_are_cut_and_a_vehicle_only_where_depth_tells_its_size():
    person, car = paste.cutouts(scene())
    assert person.label_id.shape == (60, 20)
    assert person.height_m == paste.PERSON_M
    assert car.height_m == pytest.approx(75 * 12 / FOCAL)
    assert len(list(paste.cutouts(scene(depth=False)))) == 1


def test_riders_keep_what_they_ride_and_parked_bicycles_are_nobody():
    sample = scene()
    sample.label_id[100:120, 50:70] = BICYCLE
    sample.label_id[100:150, 280:315] = BICYCLE
    rider = next(iter(paste.cutouts(sample)))
    assert rider.label_id.shape == (60, 20)
    assert set(np.unique(rider.label_id)) == {PERSON, BICYCLE}
    assert len(list(paste.cutouts(sample))) == 2


def test_whoever_people_drew_as_a_person_is_called_a_rider_with_the_bicycle():
    sample = scene(human=True)
    sample.label_id[100:120, 50:70] = BICYCLE
    label = truth.clean(sample, 'compensated').label_id
    assert (label[100:120, 50:70] == RIDER).all()
    assert (label[60:100, 50:70] == PERSON).all()


def test_a_pasted_thing_stands_on_the_ground_at_its_metric_size_and_the_depth_of_its_foot():
    thing = paste.Cutout(np.full((80, 30, 3), 250, np.uint8), np.full((80, 30), PERSON, np.uint8),
                         1.7)  # fmt: skip
    settings = config(paste=1.0)
    seen = 0
    for seed in range(150):
        example = example_of(scene(), settings)
        before = {name: np.array(value) for name, value in example.items()}
        paste.paste(np.random.default_rng(seed), example, [thing], settings)
        changed = example['label'] != before['label']
        if not changed.any():
            continue
        assert (example['label'][changed] == PERSON).all()
        assert (example['image'][changed] > before['image'][changed]).all()
        untouched = (example['image'] == before['image']).all(-1)
        assert (example['depth'][untouched] == before['depth'][untouched]).all()
        rows, columns = np.nonzero(changed)
        depths = np.unique(example['depth'][changed])
        if depths.size > 1 or columns.min() == 0 or columns.max() == 319 or rows.min() == 0:
            continue  # several, or cut by the border
        foot = before['depth'][rows.max(), columns[rows.argmax()]]
        assert depths[0] == pytest.approx(foot, rel=0.02)
        assert (example['weight'][changed] == settings.teacher_weight).all()
        in_the_open = columns.max() < 150 and columns.min() > 70
        if in_the_open:
            height = rows.max() - rows.min() + 1
            assert height * depths[0] / CANONICAL_FOCAL_PX == pytest.approx(1.7, rel=0.15)
            seen += 1
    assert seen >= 3


def test_what_is_nearer_hides_a_pasted_thing():
    thing = paste.Cutout(np.full((80, 200, 3), 250, np.uint8),
                         np.full((80, 200), PERSON, np.uint8), 1.7)  # fmt: skip
    settings = config(paste=3.0)
    for seed in range(30):
        example = example_of(scene(), settings)
        paste.paste(np.random.default_rng(seed), example, [thing], settings)
        covered = (example['label'] == PERSON)[80:155, 150:250]
        assert (example['depth'][80:155, 150:250][covered] <= 12.4).all()


def test_without_depth_a_thing_brings_its_label_and_no_depth():
    thing = next(iter(paste.cutouts(scene())))
    settings = config(paste=4.0)
    brought = 0
    for seed in range(20):
        example = example_of(scene(depth=False), settings)
        before = np.array(example['label'])
        paste.paste(np.random.default_rng(seed), example, [thing], settings)
        changed = example['label'] != before
        brought += changed.sum()
        assert (example['weight'][changed] == 0).all()
        assert (example['label'][changed] == PERSON).all()
    assert brought > 500


def test_pasting_is_the_same_for_the_same_item_and_can_be_left_out():
    samples = {'a': [scene()]}
    stream, again = (CropStream(samples, config(paste=2.0)) for _ in range(2))
    assert len(stream.bank) == 2
    for k in range(4):
        for name, value in stream[k].items():
            np.testing.assert_array_equal(value, again[k][name])
    assert CropStream(samples, config()).bank == []


def test_drawn_things_are_whole_upright_and_as_high_as_they_say():
    drawn = props.draw(np.random.default_rng(0), 50)
    assert len(drawn) == 50
    heights = [thing.height_m for thing in drawn]
    assert min(heights) < 1.0
    assert max(heights) > 4.0
    shown = set()
    for thing in drawn:
        mask = thing.label_id != UNLABELLED
        assert thing.rgb.shape == (*mask.shape, 3)
        assert thing.rgb.dtype == np.uint8
        assert mask.shape[0] == pytest.approx(thing.height_m * props.PX_A_METRE, abs=0.51)
        assert mask[0].any()
        assert mask[-1].any()
        shown |= set(np.unique(thing.label_id[mask]))
    assert shown == {CLASS_ID[n] for n in ('pole', 'traffic_sign', 'vegetation', 'wall')}


def test_the_asked_share_of_what_is_pasted_is_drawn():
    stream = CropStream({'a': [scene()] * 10}, config(paste=1.0, props=0.75))
    assert len(stream.bank) == 20 + 60
    assert len(CropStream({'a': [scene()] * 10}, config(paste=1.0)).bank) == 20
    empty = replace(scene(), label_id=np.full((200, 320), ROAD, np.uint8))  # nothing to cut out
    assert len(CropStream({'a': [empty]}, config(paste=1.0, props=0.3)).bank) == props.ALONE
    assert CropStream({'a': [empty]}, config(paste=0.0, props=0.3)).bank == []


def test_of_a_source_on_disk_only_some_samples_are_read(monkeypatch):
    monkeypatch.setattr(paste, 'MOST_LOOKED_AT', 5)
    read = []

    class OnDisk:
        def __len__(self) -> int:
            return 50

        def __getitem__(self, index: int) -> Sample:
            read.append(index)
            return scene()

    assert len(paste.collect({'a': OnDisk(), 'b': [scene()]})) == 2 * 6
    assert read == [0, 10, 20, 30, 40]


def test_a_share_of_the_images_is_evenly_spread():
    from training.crops.stream import evenly

    class Numbers(list):
        name = 'numbers'

    part = evenly(Numbers(range(100)), 0.1)
    assert [part[k] for k in range(len(part))] == list(range(0, 100, 10))
    assert len(evenly(Numbers(range(3)), 0.01)) == 1
    assert len(evenly(Numbers(range(3)), 1.0)) == 3
