# SPDX-License-Identifier: Apache-2.0
"""The errors that this package raises. Each message says what was found, what was expected and
what to do.
"""


class LightdepthError(Exception):
    """Base of every error this package raises on purpose; catch it to keep a robot running."""


class ConfigError(LightdepthError):
    """A parameter, flag or file setting has a value that cannot work."""


class ContractError(LightdepthError):
    """A model's contract JSON is missing, broken, or does not fit its ONNX file."""


class EngineError(LightdepthError):
    """An inference engine cannot be loaded, or failed while running."""


class BadImageError(LightdepthError):
    """An image (message, file or array) cannot be used; the frame is skipped."""


class BadCameraError(LightdepthError):
    """A calibration cannot be used."""


class DataError(LightdepthError):
    """A data set, label file or recording is not what it should be."""


class NoTransformError(DataError):
    """No chain of transforms connects two frames."""


class TransformTimeError(DataError):
    """Two frames are connected, but not at the requested time: not yet known, or no longer."""
