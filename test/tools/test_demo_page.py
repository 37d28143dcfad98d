# SPDX-License-Identifier: Apache-2.0
"""The demo's page: what is in it, that it needs nothing else, and that a browser runs it."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest

from lightdepth_ros.camera import Camera
from lightdepth_ros.perception import cloud
from lightdepth_ros.perception.prediction import Prediction
from tools import demo_page
from tools.demo_drive import DriveFrame
from tools.demo_page import Album, Numbers, page
from tools.demo_report import Answer

CAMERA = Camera.from_fov(60, 40, 70.0)
CHROMIUM = Path('/usr/bin/chromium')
NASTY = '</script><b>"a" & {{DATA}}\u2028'


def made(depth_m: float = 12.0) -> tuple[DriveFrame, Answer]:
    """A grey picture, and an answer of sky above one depth: road, red in the cloud."""
    rgb = np.full((80, 120, 3), 200, np.uint8)
    depth = np.full(CAMERA.size_hw, depth_m, np.float32)
    depth[:10] = np.inf
    label = np.zeros(CAMERA.size_hw, np.uint8)
    label[:10] = 10
    colors = np.zeros((*CAMERA.size_hw, 3), np.uint8)
    colors[..., 0] = 250
    points = cloud.points(Prediction(depth, label, None, CAMERA), colors)
    answer = Answer(depth, label, points, CAMERA.size_hw, CAMERA.fx, 'camera')
    return DriveFrame('f', rgb, Camera.from_fov(120, 80, 70.0)), answer


def album_of(count: int, *, truth: bool = True, name: str = 'f') -> Album:
    album = Album()
    frame, answer = made()
    for i in range(count):
        shares = (0.1 + 0.001 * i, 0.9) if truth else (None, None)
        album.add(frame, answer, Numbers(i, f'{name}{i}', 20.0 + i, *shares))
    return album


def page_of(album: Album) -> str:
    return page(album, 'demo', ['engine X'], [(('pass', 'out'), [['one', '3']])], 'all is well')


def embedded_in(text: str) -> dict:
    [found] = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    return json.loads(found)


def test_every_frame_has_its_numbers_and_pictures_that_decode():
    data = embedded_in(page_of(album_of(3)))
    assert [n['latency_ms'] for n in data['numbers']] == [20.0, 21.0, 22.0]
    assert [n['abs_rel'] for n in data['numbers']] == pytest.approx([0.1, 0.101, 0.102])
    assert [s['index'] for s in data['shots']] == [0, 1, 2]
    for kind in ('camera', 'depth', 'labels'):
        coded = np.frombuffer(base64.b64decode(data['shots'][0][kind]), np.uint8)
        assert cv2.imdecode(coded, cv2.IMREAD_COLOR).shape[1] == demo_page.PICTURE_WIDTH
    assert [c['name'] for c in data['classes']] == ['road', 'sky']


def test_the_cloud_keeps_place_to_half_a_centimetre_colour_and_label():
    _, answer = made()
    packed = base64.b64decode(demo_page.packed_cloud(answer.cloud))
    count = 30 * 60  # without the sky
    assert len(packed) == 10 * count
    place = np.frombuffer(packed, '<i2', 3 * count).reshape(-1, 3) * demo_page.UNIT_M
    below = answer.cloud[10:].ravel()
    for axis, metres in zip('xyz', place.T, strict=True):
        np.testing.assert_allclose(metres, below[axis], atol=0.0051)
    look = np.frombuffer(packed, np.uint8, offset=6 * count).reshape(-1, 4)
    assert np.unique(look, axis=0).tolist() == [[250, 0, 0, 0]]


def test_a_large_cloud_is_thinned_the_same_way_every_time(monkeypatch):
    monkeypatch.setattr(demo_page, 'MOST_POINTS', 100)
    _, answer = made()
    first = demo_page.packed_cloud(answer.cloud)
    assert len(base64.b64decode(first)) == 1000
    assert demo_page.packed_cloud(answer.cloud) == first


def test_a_cloud_without_a_point_is_empty():
    _, answer = made(np.nan)
    assert demo_page.packed_cloud(answer.cloud) == ''


def test_a_point_beyond_the_range_of_int16_stays_at_its_end():
    _, answer = made(500.0)
    packed = np.frombuffer(base64.b64decode(demo_page.packed_cloud(answer.cloud)), '<i2', 3)
    assert packed[2] == 32767


def test_frames_are_thinned_evenly_while_all_numbers_stay(monkeypatch):
    monkeypatch.setattr(demo_page, 'MOST_FRAMES', 4)
    album = album_of(11)
    assert [s.index for s in album.shots] == [0, 4, 8]
    assert len(album.numbers) == 11


def test_large_frames_are_thinned_by_their_bytes(monkeypatch):
    size = album_of(1).shots[0].size
    monkeypatch.setattr(demo_page, 'MOST_BYTES', 3 * size)
    album = album_of(8)
    assert [s.index for s in album.shots] == [0, 4]
    assert sum(s.size for s in album.shots) <= 3 * size


def test_texts_are_escaped_wherever_they_stand():
    tables = [((NASTY,), [[NASTY]])]
    text = page(album_of(1, name=NASTY), NASTY, [NASTY], tables, NASTY)
    assert '<b>' not in text
    assert text.count('</script>') == 2
    assert embedded_in(text)['numbers'][0]['name'] == f'{NASTY}0'
    assert unescape(re.search('<h1>(.*?)</h1>', text).group(1)) == NASTY
    assert unescape(re.search('<td>(.*?)</td>', text).group(1)) == NASTY


def test_the_page_refers_to_nothing_outside_itself():
    text = page_of(album_of(2))
    without = text.replace('http://www.w3.org/2000/svg', '').replace('http-equiv', '')
    assert 'http' not in without
    assert not re.search(r'url\(|@import|fetch\(|XMLHttp|import\(|//[a-z]+\.', without)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', without)) == {'data:,'}
    assert "default-src 'none'; img-src data:;" in text


def test_an_album_without_a_frame_still_gives_a_page():
    assert embedded_in(page_of(Album()))['shots'] == []


PROBE = """
<pre id="probe"></pre>
<script>
const canvas = document.getElementById('cloud');
const drawn = () => canvas.toDataURL();
setTimeout(() => {
  const found = { first: document.getElementById('shown').textContent };
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  found.red = pixels.filter((v, i) => i % 4 === 0 && v > 200 && pixels[i + 1] < 60).length;
  found.loaded = ['camera', 'depth', 'labels'].map((i) => document.getElementById(i).naturalWidth);
  const before = drawn();
  const move = { buttons: 1, movementX: 60, movementY: 20 };
  canvas.dispatchEvent(new PointerEvent('pointermove', move));
  found.turned = drawn() !== before;
  canvas.dispatchEvent(new MouseEvent('dblclick'));
  found.back = drawn() === before;
  const slider = document.getElementById('slider');
  slider.value = 1;
  slider.dispatchEvent(new Event('input'));
  found.slid = document.getElementById('shown').textContent;
  document.getElementById('play').click();
  setTimeout(() => {
    document.getElementById('play').click();
    found.played = document.getElementById('shown').textContent;
    found.charts = document.querySelectorAll('#charts svg').length;
    found.lines = document.querySelectorAll('#charts path').length;
    document.getElementById('probe').textContent = JSON.stringify(found);
  }, 300);
}, 300);
</script>
</body>"""
"""Uses the page as a reader would and writes down what it saw."""


def probed(text: str, tmp_path: Path) -> dict:
    """Open the page in headless Chromium and return what PROBE found."""
    file = tmp_path / 'index.html'
    file.write_text(text.replace('</body>', PROBE), encoding='utf-8')
    quiet = ('disable-gpu', 'no-sandbox', 'disable-quic', 'no-first-run', 'disable-sync')
    flags = [*quiet, 'disable-background-networking', 'disable-component-update']
    command = [str(CHROMIUM), '--headless', *(f'--{flag}' for flag in flags)]
    command += [f'--user-data-dir={tmp_path / "user"}', '--virtual-time-budget=5000']
    command += ['--dump-dom', file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = re.search(r'<pre id="probe">(.+?)</pre>', done.stdout, re.S)
    assert found, f'the page did not run: {done.stdout[:300]}\n{done.stderr[-2000:]}'
    return json.loads(unescape(found.group(1)))


needs_chromium = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f'no {CHROMIUM}: the page is not opened in a browser'
)


@pytest.mark.slow
@needs_chromium
def test_a_browser_shows_frames_turns_the_cloud_and_draws_the_charts(tmp_path: Path):
    found = probed(page_of(album_of(3)), tmp_path)
    assert found['first'] == 'f0: 20.0 ms, error 10.0 %'
    assert found['loaded'] == [demo_page.PICTURE_WIDTH] * 3
    assert found['red'] > 500
    assert found['turned']
    assert found['back']
    assert found['slid'] == 'f1: 21.0 ms, error 10.1 %'
    assert found['played'] == 'f2: 22.0 ms, error 10.2 %'
    assert (found['charts'], found['lines']) == (2, 3)


@pytest.mark.slow
@needs_chromium
def test_a_browser_draws_no_error_without_truth(tmp_path: Path):
    found = probed(page_of(album_of(3, truth=False)), tmp_path)
    assert found['first'] == 'f0: 20.0 ms'
    assert (found['charts'], found['lines']) == (1, 1)
