# SPDX-License-Identifier: Apache-2.0
"""The door for programs that want predictions: `load_perception(NodeConfig()).predict(...)`."""

from lightdepth_ros.perception.loading import load_perception

__all__ = ['load_perception']
