# SPDX-License-Identifier: Apache-2.0
"""A camera's way through the node, without rclpy: message in, messages out."""
