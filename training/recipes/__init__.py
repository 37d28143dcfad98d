# SPDX-License-Identifier: Apache-2.0
"""How the shipped weights were made, as programs: `python -m training.recipes.plain --list`."""
