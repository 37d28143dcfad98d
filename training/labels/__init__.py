# SPDX-License-Identifier: Apache-2.0
"""Pseudo-labels: made by teachers, corrected, stored and read back."""
