# SPDX-License-Identifier: Apache-2.0
"""Sentences about topics name the topic, the cause and the remedy."""

from __future__ import annotations

import pytest

from lightdepth_ros.stream.explain import explain_mismatch, explain_silence
from lightdepth_ros.stream.following import Offer

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'


@pytest.mark.parametrize(
    ('offers', 'sentence'),
    [
        ([], 'nobody publishes there. Start the camera driver, or remap'),
        (
            [Offer('usb_cam', 'sensor_msgs/msg/CompressedImage', reliable=True)],
            'usb_cam publishes sensor_msgs/msg/CompressedImage there, not sensor_msgs/msg/Image',
        ),
        ([Offer('usb_cam', IMAGE, reliable=False)], 'usb_cam is a publisher (best effort) but'),
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
        ('reliability', False, 'subscription.reliability auto and image_reliability auto.'),
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
    offers = [Offer('usb_cam', IMAGE, reliable=False)]
    text = explain_silence('/image', IMAGE, 3.4, offers, why)
    assert text == f'no image for 3 s on /image: {why}'


@pytest.mark.parametrize(
    ('topic', 'kind', 'elsewhere', 'remedy'),
    [
        (
            '/cam/image',
            IMAGE,
            {'/cam/image/compressed': COMPRESSED},
            'publishes /cam/image/compressed instead. Start this node with image_transport comp',
        ),
        (
            '/cam/image/compressed',
            COMPRESSED,
            {'/cam/image': IMAGE},
            'publishes /cam/image instead. Start this node with image_transport raw',
        ),
        (
            '/cam/image',
            IMAGE,
            {'/cam/image/theora': 'theora_image_transport/msg/Packet'},
            'republish theora raw` with in/theora:=/cam/image/theora',
        ),
        ('/image', IMAGE, {'/cam/rgb': IMAGE, '/scan': 'x'}, '-r image:=/cam/rgb Images are pub'),
        (
            '/image/compressed',
            COMPRESSED,
            {'/cam/rgb/compressed': COMPRESSED},
            '-r image:=/cam/rgb Images are published on /cam/rgb/compressed.',
        ),
    ],
)
def test_where_nobody_publishes_the_neighbouring_topics_are_named(topic, kind, elsewhere, remedy):
    assert remedy in explain_silence(topic, kind, 3.4, [], '', elsewhere)
