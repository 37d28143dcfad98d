# SPDX-License-Identifier: Apache-2.0
"""Data sets, one per file; each is a sequence of `training.datasets.sample.Sample`."""
