# SPDX-License-Identifier: Apache-2.0
"""A subscription asks for what every publisher offers, and for no less."""

from __future__ import annotations

import pytest

from lightdepth_ros.config import settings
from lightdepth_ros.stream.following import RELIABILITIES, Offer, Wish, wishes

IMAGE = 'sensor_msgs/msg/Image'
RELIABLE, BEST_EFFORT = Offer('a', IMAGE, reliable=True), Offer('b', IMAGE, reliable=False)
LATCHED = Offer('c', IMAGE, reliable=True, latched=True)
WEAK = Offer('d', IMAGE, reliable=False, latched=True)
ASK_ALL, ASK_RELIABLE = Wish(reliable=False, latched=False), Wish(reliable=True, latched=False)
ASK_LATCHED = Wish(reliable=True, latched=True)


@pytest.mark.parametrize(
    ('offers', 'reliability', 'both', 'asked'),
    [
        ([], 'auto', True, {ASK_ALL}),
        ([], 'reliable', False, {ASK_RELIABLE}),
        ([RELIABLE], 'auto', False, {ASK_RELIABLE}),
        ([RELIABLE, RELIABLE], 'auto', False, {ASK_RELIABLE}),
        ([RELIABLE, BEST_EFFORT], 'auto', False, {ASK_ALL}),
        ([RELIABLE], 'best_effort', False, {ASK_ALL}),
        ([BEST_EFFORT], 'reliable', False, {ASK_RELIABLE}),
        ([LATCHED], 'auto', False, {ASK_LATCHED}),
        ([LATCHED], 'best_effort', False, {ASK_ALL}),
        ([LATCHED, RELIABLE], 'auto', False, {ASK_RELIABLE}),
        ([LATCHED, RELIABLE], 'auto', True, {ASK_RELIABLE, ASK_LATCHED}),
        ([LATCHED, BEST_EFFORT], 'auto', True, {ASK_ALL, ASK_LATCHED}),
        ([WEAK], 'auto', True, {ASK_ALL}),
    ],
)
def test_every_publisher_is_heard_and_lost_messages_are_asked_for_where_all_can_send_them(
    offers, reliability, both, asked
):
    assert wishes(offers, reliability, both) == asked


def test_an_offer_is_named_as_ros_names_it():
    assert [offer.qos for offer in (RELIABLE, BEST_EFFORT, LATCHED)] == [
        'reliable',
        'best effort',
        'reliable, transient local',
    ]


def test_the_parameter_offers_what_a_subscription_can_be_told():
    [known] = [s for s in settings() if s.name == 'image_reliability']
    assert known.choices == RELIABILITIES
