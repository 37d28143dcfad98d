# SPDX-License-Identifier: Apache-2.0
"""Measure `depth_scale` by tape, lidar or camera height."""
