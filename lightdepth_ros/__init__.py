# SPDX-License-Identifier: Apache-2.0
"""Metric depth, semantic labels and point clouds from one camera, in real time."""

__version__ = '0.1.0'
