# SPDX-License-Identifier: Apache-2.0
"""The node's inputs: subscriptions whose QoS follows the publishers of their topic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions

from lightdepth_ros.errors import ConfigError
from lightdepth_ros.node.rclpy_workarounds import NUMBERED, SubscriptionEventCallbacks
from lightdepth_ros.stream.following import AUTO, RELIABILITIES, Offer, Wish, wishes

FIXED_QOS = QoSOverridingOptions(policy_kinds=(QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH))
"""Reliability is not among them: it follows the publishers. `forced_reliability` reads its
override."""

Take = Callable[[Any, int | None], None]
"""Called with a message and its publisher's running number, None where that is not known."""


@dataclass(frozen=True)
class Topic:
    """What to subscribe to.

    take     gets every message.
    tunable  whether the parameter image_reliability holds for it.
    both     see `following.wishes`: for topics where a message that comes twice does no harm.
    """

    name: str
    message_type: Any
    type_name: str
    take: Take
    tunable: bool = False
    both: bool = False


class Input:
    """One topic, heard by as many subscriptions as its publishers need: one or two.

    When they change, the new subscription is made before the old one ends, at the next `follow`,
    so that nothing is lost in between; what both hear is passed on once.
    """

    def __init__(
        self, node: LifecycleNode, topic: Topic, on_misfit: Callable[[Any], None]
    ) -> None:
        """on_misfit: called with the event of a QoS that does not fit and will not be followed."""
        self.topic = topic
        self._node = node
        self._on_misfit = on_misfit
        self._override = forced_reliability(node, topic.name)
        self._subscriptions: dict[Wish, Any] = {}
        self._leaving: list[Any] = []
        self._reliability = AUTO
        self._last_number: int | None = None

    def follow(self, reliability: str) -> None:
        """Subscribe as the publishers of now need it.

        reliability: one of RELIABILITIES; an override in `qos_overrides` goes first.
        """
        chosen = reliability if self.topic.tunable else AUTO
        self._reliability = chosen if self._override == AUTO else self._override
        self._end_leaving()
        offers = offers_on(self._node, self.topic.name, self.topic.type_name)
        if not offers and self._subscriptions and self._reliability == AUTO:
            return  # a publisher that comes back most likely offers the same
        asked = wishes(offers, self._reliability, self.topic.both)
        for wish in asked - self._subscriptions.keys():
            self._subscriptions[wish] = self._subscribe(wish)
        for wish in self._subscriptions.keys() - asked:
            self._leaving.append(self._subscriptions.pop(wish))
        if not NUMBERED:  # duplicates cannot be recognised
            self._end_leaving()

    def close(self) -> None:
        """End all subscriptions."""
        self._leaving += self._subscriptions.values()
        self._subscriptions.clear()
        self._end_leaving()

    def _end_leaving(self) -> None:
        for subscription in self._leaving:
            self._node.destroy_subscription(subscription)
        self._leaving.clear()

    def _subscribe(self, wish: Wish) -> Any:
        return self._node.create_subscription(
            self.topic.message_type,
            self.topic.name,
            self._callback(),
            profile(wish),
            qos_overriding_options=FIXED_QOS,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible, use_default_callbacks=False
            ),
        )

    def _callback(self) -> Callable[..., None]:
        """Return a callback for one subscription.

        rclpy looks at how many arguments a callback takes, so there are two kinds.
        """

        def with_facts(msg: Any, facts: Any) -> None:
            number = facts['publication_sequence_number']
            if self._leaving and number == self._last_number:
                return
            self._last_number = number
            self.topic.take(msg, number)

        def without(msg: Any) -> None:
            self.topic.take(msg, None)

        return with_facts if NUMBERED else without

    def _on_incompatible(self, event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        if policy == 'DURABILITY' or (policy == 'RELIABILITY' and self._reliability == AUTO):
            return  # the next `follow` sees to it
        self._on_misfit(event)


def profile(wish: Wish) -> QoSProfile:
    """Return the QoS of a wish; never more than the newest message is kept."""
    return QoSProfile(
        depth=1,
        history=HistoryPolicy.KEEP_LAST,
        reliability=(
            ReliabilityPolicy.RELIABLE if wish.reliable else ReliabilityPolicy.BEST_EFFORT
        ),
        durability=(
            DurabilityPolicy.TRANSIENT_LOCAL if wish.latched else DurabilityPolicy.VOLATILE
        ),
    )


def forced_reliability(node: Node, topic: str) -> str:
    """Return what `qos_overrides.<topic>.subscription.reliability` says, auto if nothing.

    It is declared here and not by rclpy, which would keep the first subscription's for ever.
    Raises ConfigError for another word.
    """
    name = f'qos_overrides.{topic}.subscription.reliability'
    if not node.has_parameter(name):
        described = ParameterDescriptor(
            description=f'reliability for subscription `{topic}`; auto: as its publishers offer',
            additional_constraints=f'One of {", ".join(RELIABILITIES)}.',
            read_only=True,
        )
        node.declare_parameter(name, AUTO, described)
    value = str(node.get_parameter(name).value).lower()
    if value not in RELIABILITIES:
        raise ConfigError(f'{name} is {value!r}; it must be one of {", ".join(RELIABILITIES)}.')
    return value


def offers_on(node: Node, topic: str, type_name: str = '') -> list[Offer]:
    """Return what is published on a topic. type_name: only messages of this type; '' = all."""
    offers = [
        Offer(
            node=info.node_name,
            message_type=info.topic_type,
            reliable=info.qos_profile.reliability == ReliabilityPolicy.RELIABLE,
            latched=info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL,
        )
        for info in node.get_publishers_info_by_topic(topic)
    ]
    return [offer for offer in offers if type_name in ('', offer.message_type)]
