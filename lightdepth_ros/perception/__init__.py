# SPDX-License-Identifier: Apache-2.0
"""Arrays in, a Prediction out: metres and labels for one camera, without ROS."""
