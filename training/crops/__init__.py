# SPDX-License-Identifier: Apache-2.0
"""From a sample to the crop a student is trained on."""
