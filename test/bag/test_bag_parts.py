# SPDX-License-Identifier: Apache-2.0
"""Time matching, transform chains and message decoding of recordings, each on its own."""

import bags
import numpy as np
import pytest

from lightdepth_ros.bag.matching import WAIT_NS, NearestStamps
from lightdepth_ros.bag.recording import Recorded
from lightdepth_ros.errors import DataError
from lightdepth_ros.stream.measurements import cloud_xyz, depth_image_m


def at(topic: str, stamp: int, log: int | None = None) -> Recorded:
    """Return a message without content."""
    return Recorded(topic, stamp if log is None else log, stamp, None)


def run(messages, tolerance_ns: int) -> list[tuple[int, int | None]]:
    """Match messages in order of recording; return (image stamp, measurement stamp)."""
    matcher, pairs = NearestStamps(tolerance_ns), []
    for message in sorted(messages, key=lambda m: m.log_ns):
        add = matcher.add_image if message.topic == 'i' else matcher.add_measurement
        pairs += add(message)
    pairs += matcher.rest()
    return [(p.image.stamp_ns, p.measurement and p.measurement.stamp_ns) for p in pairs]


def test_nearest_wins_the_earlier_on_a_tie_and_none_beyond_the_tolerance():
    images = [at('i', 100), at('i', 200), at('i', 300)]
    measured = [at('m', 95), at('m', 108), at('m', 190), at('m', 210), at('m', 331)]
    assert run(images + measured, 30) == [(100, 95), (200, 190), (300, None)]


def test_matching_equals_a_search_over_everything_when_messages_come_late_and_jittered():
    rng = np.random.default_rng(3)
    ms = 1_000_000

    def stream(topic: str, period_ms: float, delay_ms: float) -> list[Recorded]:
        times = np.arange(200) * period_ms + rng.uniform(0, 0.4 * period_ms, 200)
        delays = delay_ms + np.sort(rng.uniform(0, 0.5 * period_ms, 200))
        pairs = zip(times, times + delays, strict=True)
        return [at(topic, int(t * ms), int(log * ms)) for t, log in pairs]

    images, measured = stream('i', 33, 80), stream('m', 100, 10)
    stamps = np.array([m.stamp_ns for m in measured])
    expected = []
    for image in images:
        nearest = int(stamps[np.argmin(abs(stamps - image.stamp_ns))])
        close = abs(nearest - image.stamp_ns) <= 20 * ms
        expected.append((image.stamp_ns, nearest if close else None))
    assert run(images + measured, 20 * ms) == expected
    assert 50 < sum(m is not None for _, m in expected) < 150


def test_memory_stays_flat_when_either_topic_falls_silent():
    step = 100_000_000
    for add, kept in (('add_image', 'images'), ('add_measurement', 'measurements')):
        matcher = NearestStamps(10)
        most = 0
        for k in range(1000):
            list(getattr(matcher, add)(at('x', k * step)))
            most = max(most, len(getattr(matcher, kept)))
        assert most <= WAIT_NS // step + 2


def test_double_precision_big_endian_cloud_with_padded_rows():
    dtype = np.dtype({'names': list('xyz'), 'formats': ['>f8'] * 3, 'offsets': [4, 12, 20],
                      'itemsize': 32})  # fmt: skip
    points = np.zeros((2, 3), dtype)
    points['x'], points['y'] = [[1, 2, 3], [4, np.nan, 6]], 7
    rows = np.zeros((2, 100), np.uint8)
    rows[:, :96] = points.view(np.uint8).reshape(2, 96)
    message = bags.cloud(0, [(0, 0, 0)])
    message.fields = [
        bags.make('sensor_msgs/PointField', name=n, offset=o, datatype=8, count=1)
        for n, o in zip('xyz', (4, 12, 20), strict=True)
    ]
    message.is_bigendian, message.height, message.width = True, 2, 3
    message.point_step, message.row_step, message.data = 32, 100, rows.ravel()
    expected = [[1, 7, 0], [2, 7, 0], [3, 7, 0], [4, 7, 0], [6, 7, 0]]
    np.testing.assert_array_equal(cloud_xyz(message, '/points'), expected)


def test_cloud_without_float_coordinates_or_with_too_few_bytes_is_refused():
    message = bags.cloud(0, [(1, 2, 3)])
    message.data = message.data[:8]
    with pytest.raises(DataError, match='has 8 bytes; 1 rows of 16 bytes'):
        cloud_xyz(message, '/points')
    message.fields = message.fields[:2]
    with pytest.raises(DataError, match='has the fields x, y; x, y and z as float32'):
        cloud_xyz(message, '/points')


def test_depth_image_with_padded_rows_and_other_byte_order():
    values = np.array([[1000, 2000, 9], [0, 65535, 9]], '>u2')
    message = bags.image(0, values, '16UC1')
    message.width, message.is_bigendian = 2, 1
    expected = np.array([[1, 2], [0, 65.535]], np.float32)
    np.testing.assert_allclose(depth_image_m(message, '/d'), expected, rtol=1e-6)
    message.step = 2
    with pytest.raises(DataError, match='rows of 2; 2 rows of at least 4 bytes'):
        depth_image_m(message, '/d')
