# SPDX-License-Identifier: Apache-2.0
"""Diagnostics say the worst thing that is going on, in a sentence with a remedy."""

import dataclasses
import json

import pytest

from lightdepth_ros.stream.counters import FrameCounters
from lightdepth_ros.stream.explain import explain_loss, explain_mismatch, explain_no_cloud
from lightdepth_ros.stream.following import Offer
from lightdepth_ros.stream.health import (
    ERROR,
    OK,
    WARN,
    Health,
    numbers,
    texts,
    verdict,
    waits_for_manager,
)


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


STOPPED = FrameCounters().snapshot(1.0)
"""Counters of a camera of which nothing has come out lately."""
NO_CLOUD = explain_no_cloud(['points'], '/camera_info', 'none')
RELIABLE = [Offer('usb_cam', 'sensor_msgs/msg/Image', reliable=True)]
SITUATIONS = {
    'all is well': ({}, OK, '2.0 frames/s', ''),
    'transforms do not tell the mount': (
        {'no_mount': 'mount is tf, but', 'mount': 'not known'}, WARN, 'mount is tf', '',
    ),
    'the last frame had no anchor, and now nobody subscribes': (
        {'no_anchor': 'no anchor from scan', 'subscribers': {'points': 0}}, OK, 'idle', '',
    ),
    'a sensor gives no anchor': (
        {'no_anchor': 'no anchor from scan'}, WARN, 'no anchor from scan', '',
    ),
    'nobody subscribes': ({'subscribers': {'points': 0}}, OK, 'idle: nobody subscribes', ''),
    'the engine is slower than the camera': (
        {'news': {'replaced_by_newer': 5, 'nobody_listens': 2}}, OK, 'frames/s', '',
    ),
    'some images are damaged': (
        {'news': {'bad_image': 3, 'rate_limit': 2}, 'last_error': 'step is 17'},
        WARN, 'frames dropped: bad_image 3. ', 'step is 17',
    ),
    'the engine fails now and then': (
        {'news': {'engine_error': 2}, 'last_error': 'Load another engine'},
        WARN, 'frames dropped: engine_error 2. ', 'Load another engine',
    ),
    'every image is refused': (
        {'news': {'bad_image': 30}, 'counters': STOPPED, 'last_error': 'Set the driver to rgb8'},
        ERROR, 'no image can be used, nothing is published: bad_image 30', 'Set the driver to',
    ),
    'every calibration is refused': (
        {'news': {'bad_camera_info': 30}, 'counters': STOPPED, 'last_error': 'Publish P'},
        ERROR, 'nothing is published: bad_camera_info 30', 'Publish P',
    ),
    'camera_info is awaited': (
        {'news': {'waiting_for_camera_info': 9}, 'counters': STOPPED},
        WARN, 'frames dropped: waiting_for_camera_info 9.', '',
    ),
    'K is zero and somebody wants clouds': (
        {'no_cloud': NO_CLOUD},
        WARN, 'not calibrated, so nothing comes on points', 'or set horizontal_fov_deg',
    ),
    'K is zero and clouds are all that is wanted': (
        {'no_cloud': NO_CLOUD, 'news': {'not_calibrated': 30}, 'counters': STOPPED},
        ERROR, 'nothing is published: not_calibrated 30', 'or set horizontal_fov_deg',
    ),
    'images are lost between two reliable ends': (
        {'loss': explain_loss('/image', 0.3, RELIABLE, reliable=True)},
        WARN, '30% of the images on /image are lost', 'start the camera driver with config/fast',
    ),
    'images are lost as the node was told best effort': (
        {'loss': explain_loss('/image', 0.9, RELIABLE, reliable=False)},
        WARN, '90% of the images on /image are lost', 'set image_reliability to auto',
    ),
    'somebody asks for another QoS': (
        {'mismatches': {'/points': explain_mismatch('/points', 'durability', 1, True)}},
        WARN, 'QoS does not fit on /points: a subscriber asks for a durability', 'qos_overrides',
    ),
    'no image comes': ({'silence': 'no image for 3 s. Start it'}, ERROR, 'no image', 'Start it'),
    'an engine took over': (
        {'model': {'engine': 'ready', 'engine_note': 'tensorrt agrees'}}, OK, 'frames/s', '',
    ),
    'an engine is being built': (
        {'model': {'engine': 'building', 'engine_note': '10 s so far'}}, WARN, '10 s so far', '',
    ),
    'an engine was refused': (
        {'model': {'engine': 'refused', 'engine_note': 'was refused. Set backend'}},
        ERROR, 'was refused', 'Set backend',
    ),
    'an engine was refused and the node rests': (
        {'state': 'inactive', 'model': {'engine': 'refused', 'engine_note': 'was refused'}},
        ERROR, 'was refused', '',
    ),
    'no image comes and an engine was refused': (
        {'silence': 'no image', 'model': {'engine': 'refused', 'engine_note': 'refused'}},
        ERROR, 'no image', '',
    ),
    'inactive': (
        {'state': 'inactive', 'silence': 'x'},
        WARN, 'inactive: no image is processed', 'ros2 lifecycle set /depth_node activate',
    ),
    'unconfigured': (
        {'state': 'unconfigured', 'name': '/a/depth_node: front'},
        WARN, 'unconfigured: no image', 'ros2 lifecycle set /a/depth_node configure',
    ),
    'finalized': (
        {'state': 'finalized'}, WARN, 'finalized: no image is processed', 'start it again',
    ),
    'it cannot configure': (
        {'complaint': 'no model', 'state': 'unconfigured'}, ERROR, 'no model', '',
    ),
}  # fmt: skip
"""Situation -> (what is known of it, level, sentence, remedy)."""


@pytest.mark.parametrize('situation', SITUATIONS)
def test_every_situation_has_its_level_sentence_and_remedy(situation):
    changes, level, sentence, remedy = SITUATIONS[situation]
    found, text = verdict(health(**changes))
    assert found == level
    assert sentence in text
    assert remedy in text


def test_a_node_that_does_not_start_itself_says_how_to_start_it():
    text = waits_for_manager('/depth_node')
    assert text.startswith('autostart is false')
    assert 'ros2 lifecycle set /depth_node configure' in text


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


def test_misfits_of_anchors_are_shown_finely_enough_to_compare():
    shown = texts(health(anchor={'anchor_misfit_before': 0.1234, 'anchor_misfit_after': 0.0567}))
    assert (shown['anchor_misfit_before'], shown['anchor_misfit_after']) == ('0.123', '0.057')
    assert shown['rate_out_hz'] == '2.0'
