# SPDX-License-Identifier: Apache-2.0
"""The entry point for programs: `load_perception(NodeConfig()).predict(...)`."""

from lightdepth_ros.perception.loading import load_perception

__all__ = ['load_perception']
