# SPDX-License-Identifier: Apache-2.0
"""Parts of `training.from_bag`: recordings in, frames with depth out."""
