# SPDX-License-Identifier: Apache-2.0
"""The table of backends: their module, precisions and install line. A new one adds a line here."""

from __future__ import annotations

ENGINES = {
    'onnxruntime': 'lightdepth_ros.engines.onnxruntime',
    'openvino': 'lightdepth_ros.engines.openvino',
    'tensorrt': 'lightdepth_ros.engines.tensorrt',
}
"""Backend name -> module with a function `load(contract, onnx_path, request) -> Engine` and, where
libraries alone do not tell whether it can run, `probe(precision)`; see lightdepth_ros.engines."""

BACKENDS = ('auto', *ENGINES)
"""What the parameter `backend` and the flag --backend accept."""

PRECISIONS = {
    'onnxruntime': ('fp32',),
    'openvino': ('fp32', 'bf16'),
    'tensorrt': ('fp16', 'fp32', 'bf16'),
}
"""Precisions each backend offers, its default first. int8 is a property of the model file
(`training.quantize` writes one), so every backend runs it under its default precision."""

INSTALL = {
    'onnxruntime': 'pip install onnxruntime',
    'openvino': 'pip install openvino',
    'tensorrt': 'pip install tensorrt-rtx cuda-bindings onnx',
}
"""What to type when a backend's libraries are missing."""
