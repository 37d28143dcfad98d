# SPDX-License-Identifier: Apache-2.0
"""Run the node's perception over a recording and write a bag with its outputs."""
