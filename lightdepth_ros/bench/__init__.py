# SPDX-License-Identifier: Apache-2.0
"""How fast each engine is on this machine."""
