# SPDX-License-Identifier: Apache-2.0
"""Which QoS a subscription needs, given what its publishers offer. No ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

AUTO, RELIABLE, BEST_EFFORT = 'auto', 'reliable', 'best_effort'
RELIABILITIES = (AUTO, RELIABLE, BEST_EFFORT)


@dataclass(frozen=True)
class Offer:
    """One publisher on a topic: its node, its message type, and what it offers.

    reliable  lost messages are sent again.
    latched   transient local: who subscribes late gets the last messages.
    """

    node: str
    message_type: str
    reliable: bool
    latched: bool = False

    @property
    def qos(self) -> str:
        """The QoS in words."""
        return f'{"reliable" if self.reliable else "best effort"}' + (
            ', transient local' if self.latched else ''
        )


class Wish(NamedTuple):
    """What one subscription asks for; the fields are those of Offer."""

    reliable: bool
    latched: bool


def wishes(
    offers: Sequence[Offer], reliability: str = AUTO, both: bool = False
) -> frozenset[Wish]:
    """Return what to ask for so that every publisher is heard and as little as possible is lost.

    reliability: one of RELIABILITIES. auto: reliable if all publishers are, else best effort,
    which matches everybody. both: where only some publishers are latched, ask for both
    durabilities with a subscription each; messages of the latched ones then come twice.
    Without a publisher the answer is the one that matches any publisher.
    """
    all_reliable = bool(offers) and all(offer.reliable for offer in offers)
    reliable = all_reliable if reliability == AUTO else reliability == RELIABLE
    latched = [offer for offer in offers if offer.latched and offer.reliable]
    if latched and len(latched) == len(offers) and reliable:
        return frozenset({Wish(reliable=True, latched=True)})
    asked = {Wish(reliable, latched=False)}
    if both and latched:
        asked.add(Wish(reliable=True, latched=True))
    return frozenset(asked)
