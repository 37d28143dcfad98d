# SPDX-License-Identifier: Apache-2.0
"""Diagnostics say the worst thing that is going on, in a sentence with a remedy."""

import dataclasses
import json

import pytest

from lightdepth_ros.stream.counters import FrameCounters
from lightdepth_ros.stream.health import (
    ERROR,
    OK,
    WARN,
    Health,
    Offer,
    explain_mismatch,
    explain_silence,
    numbers,
    verdict,
)

IMAGE = 'sensor_msgs/msg/Image'


def health(**changes) -> Health:
    frames = FrameCounters()
    for i in range(10):
        frames.receive(i * 0.1)
        frames.publish(i * 0.1, latency_ms=20.0, age_ms=25.0, engine_ms=8.0)
    frames.receive(1.0)
    frames.drop('bad_image')
    fine = Health(
        name='/depth_node',
        state='active',
        model={'output_resolution': 'L', 'device': 'CPU'},
        counters=frames.snapshot(1.0),
        news={},
        calibration='640x480, focal length 500.0 px, no distortion',
        subscribers={'depth/image': 1, 'points': 0},
        complaint='',
        mismatches={},
        silence='',
        last_error='',
    )
    return dataclasses.replace(fine, **changes)


@pytest.mark.parametrize(
    ('changes', 'level', 'message'),
    [
        ({}, OK, '2.0 frames/s'),
        ({'subscribers': {'points': 0}}, OK, 'idle: nobody subscribes'),
        ({'news': {'replaced_by_newer': 5, 'nobody_listens': 2}}, OK, 'frames/s'),
        (
            {'news': {'bad_image': 3, 'rate_limit': 2}, 'last_error': 'step is 17'},
            WARN,
            'frames dropped: bad_image 3. step is 17',
        ),
        (
            {'mismatches': {'/points': explain_mismatch('/points', 'durability', 1, True)}},
            WARN,
            'QoS does not fit on /points: a subscriber asks for a durability',
        ),
        ({'silence': 'no image for 3 s'}, ERROR, 'no image for 3 s'),
        ({'model': {'engine': 'ready', 'engine_note': 'tensorrt agrees'}}, OK, 'frames/s'),
        ({'model': {'engine': 'building', 'engine_note': '10 s so far'}}, WARN, '10 s so far'),
        ({'model': {'engine': 'refused', 'engine_note': 'was refused'}}, ERROR, 'was refused'),
        (
            {'state': 'inactive', 'model': {'engine': 'refused', 'engine_note': 'was refused'}},
            ERROR,
            'was refused',
        ),
        (
            {'silence': 'no image', 'model': {'engine': 'refused', 'engine_note': 'refused'}},
            ERROR,
            'no image',
        ),
        ({'state': 'inactive', 'silence': 'x'}, WARN, 'inactive: no image is processed'),
        ({'complaint': 'no model', 'state': 'unconfigured'}, ERROR, 'no model'),
    ],
)
def test_verdict_is_the_worst_of_what_is_known(changes, level, message):
    found, text = verdict(health(**changes))
    assert found == level
    assert message in text


def test_numbers_are_exact_and_fit_json():
    measured = numbers(health())
    again = json.loads(json.dumps(measured, allow_nan=False))
    assert again == measured
    assert (measured['received'], measured['published'], measured['in_work']) == (11, 10, 0)
    assert measured['dropped'] == {'bad_image': 1}
    assert (measured['latency_p50_ms'], measured['age_ms'], measured['engine_ms']) == (20, 25, 8)
    assert measured['output_resolution'] == 'L'


def test_what_was_not_measured_is_null():
    nothing = health(counters=FrameCounters().snapshot(0.0))
    assert numbers(nothing)['latency_p99_ms'] is None


@pytest.mark.parametrize(
    ('offers', 'sentence'),
    [
        ([], 'nobody publishes there. Start the camera driver, or remap'),
        (
            [Offer('usb_cam', 'sensor_msgs/msg/CompressedImage', 'reliable')],
            'usb_cam publishes sensor_msgs/msg/CompressedImage there, not sensor_msgs/msg/Image',
        ),
        ([Offer('usb_cam', IMAGE, 'best effort')], 'usb_cam is a publisher (best effort) but'),
    ],
)
def test_silence_is_told_apart_by_its_cause(offers, sentence):
    text = explain_silence('/image', IMAGE, 3.4, offers)
    assert text.startswith('no image for 3 s on /image: ')
    assert sentence in text


@pytest.mark.parametrize(
    ('policy', 'publishing', 'remedy'),
    [
        ('durability', True, 'qos_overrides./t.publisher.durability transient_local.'),
        ('reliability', True, 'qos_overrides./t.publisher.reliability reliable.'),
        ('reliability', False, 'qos_overrides./t.subscription.reliability best_effort.'),
        ('deadline', True, 'Change deadline there.'),
    ],
)
def test_qos_mismatch_names_topic_policy_and_remedy(policy, publishing, remedy):
    text = explain_mismatch('/t', policy, 3, publishing)
    assert text.startswith('QoS does not fit on /t: ')
    assert f'a {policy} that' in text
    assert '(seen 3 times)' in text
    assert text.endswith(remedy)


def test_silence_by_a_mismatch_is_told_as_such():
    why = explain_mismatch('/image', 'reliability', 1, publishing=False)
    offers = [Offer('usb_cam', IMAGE, 'best effort')]
    text = explain_silence('/image', IMAGE, 3.4, offers, why)
    assert text == f'no image for 3 s on /image: {why}'
