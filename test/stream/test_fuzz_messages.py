# SPDX-License-Identifier: Apache-2.0
"""No message can break the node: whatever comes is read, or refused with one of our errors, and
a header costs no memory. LIGHTDEPTH_FUZZ_CASES random messages of each kind (`make fuzz`)."""

from __future__ import annotations

import array
import os
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip('sensor_msgs', reason='needs the ROS 2 message packages')

from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tiny_model import make_tiny_model

from lightdepth_ros.config import FITS, NodeConfig
from lightdepth_ros.engines import EngineRequest, load_engine
from lightdepth_ros.errors import BadCameraError, BadImageError
from lightdepth_ros.perception.calibration import KINDS, describe, view_of
from lightdepth_ros.perception.loading import perception_of
from lightdepth_ros.picture import MAX_PIXELS, MAX_SIDE_PX
from lightdepth_ros.stream import counters, messages
from lightdepth_ros.stream.encodings import ENCODINGS
from lightdepth_ros.stream.outputs import TOPICS
from lightdepth_ros.stream.pipeline import Pipeline
from lightdepth_ros.stream.stream import Stream
from lightdepth_ros.stream.voice import Voice
from tools.ros_env import ROOT

CASES = int(os.environ.get('LIGHTDEPTH_FUZZ_CASES', '200'))
RANDOM = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=CASES <= 200,  # the same in every short run
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
REFUSAL_BYTES = 100_000
"""So much may a refused message cost beside its own data: the error's text, and caches."""
HUGE = (65_535, 2**31, 2**32 - 1)

SIDES = st.one_of(st.integers(0, 40), st.sampled_from([0, 1, MAX_SIDE_PX, *HUGE]))
NAMES = st.one_of(st.sampled_from(sorted(ENCODINGS)), st.text(max_size=12))


class Peak:
    """The most bytes that Python and NumPy allocated within a `with` block."""

    def __enter__(self) -> Peak:
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


# Raw images


@st.composite
def images(draw) -> Image:
    """Image messages that are right, nearly right, or nonsense."""
    msg = Image(encoding=draw(NAMES), height=draw(SIDES), width=draw(SIDES))
    known = ENCODINGS.get(msg.encoding)
    right = msg.width * known.bits // 8 if known else 3 * msg.width
    msg.step = min(draw(st.one_of(st.just(right), st.integers(0, 200), st.sampled_from(HUGE))),
                   2**32 - 1)  # fmt: skip
    total = msg.step * msg.height
    length = draw(st.one_of(st.just(total), st.integers(0, 5000)))
    msg.data = array.array('B', bytes(length if length < 10_000 else 100))
    msg.is_bigendian = draw(st.sampled_from([0, 1, 255]))
    return msg


@pytest.mark.slow
@RANDOM
@given(images())
def test_any_image_is_read_or_refused_at_no_cost(msg):
    with Peak() as peak:
        try:
            rgb = messages.image_to_rgb(msg)
        except BadImageError:
            rgb = None
    if rgb is None:
        assert peak.bytes < REFUSAL_BYTES
        with pytest.raises(BadImageError):
            messages.check_image(msg)
        return
    assert messages.check_image(msg) == (msg.height, msg.width)
    assert rgb.shape == (msg.height, msg.width, 3)
    assert rgb.dtype == np.uint8
    assert peak.bytes < REFUSAL_BYTES + 8 * rgb.nbytes


# Compressed images

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
FILES = [cv2.imencode(suffix, PICTURE)[1].tobytes() for suffix in ('.jpg', '.png')] + [
    cv2.imencode('.jpg', PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes(),
    cv2.imencode('.png', PICTURE[..., 0])[1].tobytes(),
    b'',
]
FORMATS = st.one_of(
    st.sampled_from(
        ['jpeg', 'bgr8; jpeg compressed bgr8', 'bayer_rggb8; jpeg', 'compressedDepth']
    ),
    st.text(max_size=9),
)


@pytest.mark.slow
@RANDOM
@given(
    start=st.sampled_from(FILES),
    cut=st.one_of(st.none(), st.integers(0, 3000)),
    changes=st.lists(st.tuples(st.integers(0, 2999), st.integers(0, 255)), max_size=4),
    image_format=FORMATS,
)
def test_any_compressed_image_is_read_or_refused(start, cut, changes, image_format):
    data = bytearray(start[:cut])
    for position, value in changes:
        if position < len(data):
            data[position] = value
    msg = CompressedImage(format=image_format, data=array.array('B', bytes(data)))
    try:
        rgb = messages.image_to_rgb(msg)
    except BadImageError:
        return
    assert rgb.ndim == 3
    assert rgb.dtype == np.uint8
    assert rgb.size <= 3 * MAX_PIXELS


# Huge headers with little data


def huge_messages() -> list[Image | CompressedImage]:
    """Headers of gigapixels with a few bytes behind them, raw and compressed."""
    made: list[Image | CompressedImage] = []
    for encoding in ENCODINGS:
        for side in HUGE:
            step = min(side * ENCODINGS[encoding].bits // 8, 2**32 - 1)
            msg = Image(encoding=encoding, height=side, width=side, step=step)
            msg.data.frombytes(bytes(100))
            made.append(msg)
    png = b'\x89PNG\r\n\x1a\n' + struct.pack('>I4sII', 13, b'IHDR', 65_535, 65_535) + bytes(40)
    jpeg = bytes.fromhex('ffd8ffc0001108ffffffff03') + bytes(40)
    for data in (png, jpeg):
        msg = CompressedImage(format='jpeg')
        msg.data.frombytes(data)
        made.append(msg)
    return made


def refuse_all() -> None:
    """Prove that every huge message is refused."""
    for msg in huge_messages():
        for read in (messages.check_image, messages.image_to_rgb):
            with pytest.raises(BadImageError):
                read(msg)


def test_header_of_65535_x_65535_is_refused_before_anything_is_allocated():
    refuse_all()  # what is imported or compiled on the way is so now
    with Peak() as peak:
        refuse_all()
    assert peak.bytes < REFUSAL_BYTES + 8192 * len(huge_messages())


def test_huge_headers_are_refused_where_no_memory_could_be_had():
    code = 'import test_fuzz_messages as t; t.refuse_all_in_little_memory()'
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': f'{ROOT}:{ROOT / "test"}:{Path(__file__).parent}'},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def refuse_all_in_little_memory() -> None:
    """As `refuse_all`, in a process that may take 64 MiB more than it has, cv2 included."""
    made = huge_messages()
    pages = int((open('/proc/self/statm').read()).split()[0])  # noqa: SIM115, PTH123
    limit = pages * resource.getpagesize() + (64 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    with pytest.raises(MemoryError):
        np.zeros(65_535 * 3000, np.uint8)  # the limit holds
    assert made
    refuse_all()


# Calibration

NUMBERS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, 1.0, 30.0, 50.0, 1e-9, -20.0, 1e9]),
)


@st.composite
def calibrations(draw, height=SIDES, width=SIDES) -> CameraInfo:
    """CameraInfo messages that are right, nearly right, or nonsense."""
    info = CameraInfo(height=draw(height), width=draw(width))
    info.distortion_model = draw(
        st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', '', 'x'])
    )
    right = [40.0, 0.0, 23.5, 0.0, 40.0, 15.5, 0.0, 0.0, 1.0]
    info.k = draw(
        st.one_of(st.just([0.0] * 9), st.just(right), st.lists(NUMBERS, min_size=9, max_size=9))
    )
    info.p = draw(
        st.one_of(
            st.just([*right[:3], 0.0, *right[3:6], 0.0, *right[6:], 0.0]),
            st.lists(NUMBERS, min_size=12, max_size=12),
        )
    )
    info.d = draw(st.one_of(st.just([0.0] * 5), st.lists(NUMBERS, max_size=9)))
    whole = st.just(0)
    info.roi.x_offset, info.roi.y_offset = draw(st.one_of(whole, SIDES)), draw(whole | SIDES)
    info.roi.width, info.roi.height = draw(st.one_of(whole, SIDES)), draw(whole | SIDES)
    info.binning_x, info.binning_y = draw(st.one_of(whole, SIDES)), draw(whole | SIDES)
    return info


@RANDOM
@given(calibrations(), st.sampled_from(KINDS))
def test_any_camera_info_is_read_or_refused(info, kind):
    with Peak() as peak:
        try:
            view = view_of(info, kind)
        except BadCameraError:
            view = None
    assert peak.bytes < REFUSAL_BYTES
    assert view is None or 'focal length' in describe(view)


# All the way


class Listener:
    """Counts what is published."""

    def __init__(self) -> None:
        self.count = 0

    def get_subscription_count(self) -> int:
        return 1

    def publish(self, msg: object) -> None:
        self.count += 1


@pytest.fixture(scope='module')
def engine(tmp_path_factory):
    return load_engine(EngineRequest(make_tiny_model(tmp_path_factory.mktemp('model'), 'L')))


@pytest.mark.slow
@RANDOM
@given(
    image=st.one_of(images(), st.just(messages.rgb_to_image(PICTURE, Image().header))),
    info=st.one_of(st.none(), calibrations(), calibrations(st.just(32), st.just(48))),
    fit=st.sampled_from(FITS),
    kind=st.sampled_from(['auto', *KINDS]),
    fov_deg=st.sampled_from([0.0, 1.0, 90.0, 179.0]),
)
def test_any_image_with_any_calibration_is_published_or_counted(
    engine, image, info, fit, kind, fov_deg
):
    said: list[str] = []
    publishers = {output.topic: Listener() for output in TOPICS}
    stream = Stream(
        name='node',
        image_topic='/image',
        image_type='sensor_msgs/msg/Image',
        info_topic='/camera_info',
        publishers=publishers,
        mismatches={},
        voice=Voice(said.append, said.append),
        clock_ns=lambda: 0,
    )
    config = NodeConfig(
        camera_info_timeout_s=0.0, input_width=96, input_height=64, fit=fit, image_kind=kind,
        horizontal_fov_deg=fov_deg, temporal_filter=0.5,
    )  # fmt: skip
    if info is not None:
        stream.calibration.update(info)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # NumPy's, of numbers that overflow
        waiting = stream.receive(image, config, 1)
        if waiting is not None:
            stream.process(waiting, Pipeline(config, perception_of(config, engine)))
    seen = stream.counters.snapshot(time.perf_counter())
    assert (seen.received, seen.in_work) == (1, 0)
    assert seen.dropped.keys() <= {counters.BAD_IMAGE, counters.BAD_CAMERA_INFO}
    assert publishers['depth/image'].count == seen.published
    assert seen.published or said
