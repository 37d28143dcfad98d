# SPDX-License-Identifier: Apache-2.0
"""What a model gets right: metrics, protocols, tables and plots."""
