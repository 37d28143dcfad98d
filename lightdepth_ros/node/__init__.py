# SPDX-License-Identifier: Apache-2.0
"""The ROS node; the only folder that imports rclpy."""
