# SPDX-License-Identifier: Apache-2.0
"""The network in training: loss, distillation, and its way from and to ONNX."""
