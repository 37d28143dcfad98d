# SPDX-License-Identifier: Apache-2.0
"""What rclpy does otherwise than a node needs it; each with the version it was seen in."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.impl.implementation_singleton import rclpy_implementation as _rclpy
from rclpy.lifecycle import LifecycleNode

from lightdepth_ros.errors import LightdepthError

Transition = TypeVar('Transition', bound=Callable[..., Any])


def told(transition: Transition) -> Transition:
    """Log what a transition raises: rclpy (Jazzy, 7.1) only sees that it failed."""

    @functools.wraps(transition)
    def telling(self: LifecycleNode, *arguments: Any) -> Any:
        try:
            return transition(self, *arguments)
        except LightdepthError as error:
            self.get_logger().error(str(error))
            raise
        except Exception:
            if self.context.ok():  # else whatever it was is only the end of ROS
                self.get_logger().error(f'{transition.__name__}: {traceback.format_exc()}')
            raise

    return telling  # type: ignore[return-value]  # the same, for whoever calls it


def survive_illegal_transitions(node: LifecycleNode) -> None:
    """Answer an illegal transition request with "no", where rclpy (Jazzy, 7.1) would raise out of
    spin. It offers no hook for it, hence the private name."""
    service = node._service_change_state
    handle = service.callback

    def answer(request: Any, response: Any) -> Any:
        try:
            return handle(request, response)
        except _rclpy.RCLError as error:
            node.get_logger().warning(f'transition refused: {error}')
            response.success = False
            return response

    service.callback = answer
