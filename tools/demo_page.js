// SPDX-License-Identifier: Apache-2.0
// The script of the demo's page. It reads the JSON beside it and loads nothing.
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);
const byId = (id) => document.getElementById(id);
const numbersOf = new Map(data.numbers.map((n) => [n.index, n]));
const colorOf = new Map(data.classes.map((c) => [c.id, c.color]));
const PLAY_MS = 200;
let shownPlace = 0;

// Frames

function show(place) {
  shownPlace = place;
  const shot = data.shots[place];
  for (const id of ['camera', 'depth', 'labels']) {
    byId(id).src = `data:image/jpeg;base64,${shot[id]}`;
  }
  byId('slider').value = place;
  byId('shown').textContent = caption(numbersOf.get(shot.index));
  cloud.points = unpacked(shot.cloud);
  cloud.draw();
  for (const mark of document.querySelectorAll('.mark')) {
    const x = mark.parentNode.xOf(shot.index);
    mark.setAttribute('x1', x);
    mark.setAttribute('x2', x);
  }
}

function caption(numbers) {
  const error = numbers.abs_rel === null ? '' : `, error ${(100 * numbers.abs_rel).toFixed(1)} %`;
  return `${numbers.name}: ${numbers.latency_ms.toFixed(1)} ms${error}`;
}

function nearestPlace(index) {
  const far = data.shots.map((s) => Math.abs(s.index - index));
  return far.indexOf(Math.min(...far));
}

function startPlayer() {
  const slider = byId('slider');
  slider.max = data.shots.length - 1;
  slider.addEventListener('input', () => show(Number(slider.value)));
  let timer = null;
  byId('play').addEventListener('click', () => {
    if (timer === null) {
      timer = setInterval(() => show((shownPlace + 1) % data.shots.length), PLAY_MS);
    } else {
      clearInterval(timer);
      timer = null;
    }
    byId('play').textContent = timer === null ? 'Play' : 'Pause';
  });
}

function drawLegend() {
  for (const c of data.classes) {
    const entry = document.createElement('span');
    const swatch = document.createElement('span');
    swatch.className = 'swatch';
    swatch.style.background = `rgb(${c.color})`;
    entry.append(swatch, c.name);
    byId('legend').append(entry);
  }
}

// Cloud

function unpacked(text) {
  // x, y, z of all points (int16), then red, green, blue, label of all points (bytes)
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const count = bytes.length / 10;
  const view = new DataView(bytes.buffer);
  const xyz = new Float32Array(3 * count);
  for (let i = 0; i < 3 * count; i++) xyz[i] = view.getInt16(2 * i, true) * data.unit_m;
  return { count, xyz, look: bytes.subarray(6 * count) };
}

const START = { yaw: 0.3, pitch: 0.2, distance_m: 18 };
const CENTRE = [0, 0, 12]; // what the view turns about, metres in the camera's frame
const BACKGROUND = [22, 24, 29];
const NO_LABEL = [150, 150, 150];

const cloud = {
  points: { count: 0, xyz: new Float32Array(0), look: new Uint8Array(0) },
  eye: { ...START },

  draw() {
    const canvas = byId('cloud');
    const { width, height } = canvas;
    const context = canvas.getContext('2d');
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    pixels.fill(packed(BACKGROUND));
    this.paint(pixels, width, height);
    context.putImageData(image, 0, 0);
  },

  paint(pixels, width, height) {
    const nearest = new Float32Array(width * height).fill(Infinity);
    const labels = byId('colors').value === 'labels';
    const { count, xyz, look } = this.points;
    const project = this.projection(width, height);
    for (let i = 0; i < count; i++) {
      const [u, v, z] = project(xyz[3 * i], xyz[3 * i + 1], xyz[3 * i + 2]);
      if (z < 0.3) continue;
      const rgb = labels ? colorOf.get(look[4 * i + 3]) : look.subarray(4 * i, 4 * i + 3);
      const color = packed(Array.from(rgb || NO_LABEL, (c) => 48 + 0.8 * c)); // off the background
      const side = Math.round(Math.min(7, Math.max(3, width / 9 / z)));
      square(pixels, nearest, width, height, [u, v, z], side, color);
    }
  },

  projection(width, height) {
    const { yaw, pitch, distance_m: distance } = this.eye;
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const focal = 0.9 * width;
    return (x0, y0, z0) => {
      const [x, y, z] = [x0 - CENTRE[0], y0 - CENTRE[1], z0 - CENTRE[2]];
      const right = cy * x - sy * z;
      const ahead = sy * x + cy * z;
      const down = cp * y - sp * ahead;
      const depth = sp * y + cp * ahead + distance;
      return [width / 2 + (focal * right) / depth, height / 2 + (focal * down) / depth, depth];
    };
  },
};

function square(pixels, nearest, width, height, [u, v, z], side, color) {
  const left = Math.max(0, Math.round(u - side / 2));
  const top = Math.max(0, Math.round(v - side / 2));
  const right = Math.min(width, Math.round(u + side / 2));
  const bottom = Math.min(height, Math.round(v + side / 2));
  for (let y = top; y < bottom; y++) {
    for (let at = y * width + left; at < y * width + right; at++) {
      if (z < nearest[at]) {
        nearest[at] = z;
        pixels[at] = color;
      }
    }
  }
}

function packed([r, g, b]) {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

function turnByMouse() {
  const canvas = byId('cloud');
  canvas.addEventListener('pointerdown', (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener('pointermove', (event) => {
    if (!event.buttons) return;
    cloud.eye.yaw += event.movementX * 0.006;
    const pitch = cloud.eye.pitch + event.movementY * 0.006;
    cloud.eye.pitch = Math.min(1.57, Math.max(-0.4, pitch));
    cloud.draw();
  });
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const distance = cloud.eye.distance_m * Math.exp(event.deltaY * 0.001);
    cloud.eye.distance_m = Math.min(120, Math.max(2, distance));
    cloud.draw();
  }, { passive: false });
  canvas.addEventListener('dblclick', () => {
    cloud.eye = { ...START };
    cloud.draw();
  });
  byId('colors').addEventListener('change', () => cloud.draw());
}

// Charts

const NAMESPACE = 'http://www.w3.org/2000/svg';
const [CHART_W, CHART_H, LEFT, RIGHT, TOP, BOTTOM] = [600, 220, 60, 12, 14, 26];

function svg(name, attributes, text = '') {
  const node = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

function roundStep(top) {
  const power = 10 ** Math.floor(Math.log10(top / 4));
  return [1, 2, 5, 10].map((m) => m * power).find((step) => step * 5 >= top);
}

function addChart(unit, series) {
  const values = series.flatMap((s) => data.numbers.map(s.value)).filter((v) => v !== null);
  if (!values.length) return;
  const step = roundStep(Math.max(...values, 1e-3));
  const top = step * Math.ceil(Math.max(...values, 1e-3) / step);
  const last = Math.max(1, data.numbers[data.numbers.length - 1].index);
  const xOf = (index) => LEFT + ((CHART_W - LEFT - RIGHT) * index) / last;
  const yOf = (value) => CHART_H - BOTTOM - ((CHART_H - TOP - BOTTOM) * value) / top;
  const chart = svg('svg', { viewBox: `0 0 ${CHART_W} ${CHART_H}` });
  chart.xOf = xOf;
  for (let i = 0; i * step <= top * 1.0001; i++) {
    const y = yOf(i * step);
    chart.append(svg('line', { x1: LEFT, x2: CHART_W - RIGHT, y1: y, y2: y, stroke: '#2c2e34' }));
    const text = `${Number((i * step).toPrecision(6))} ${unit}`;
    chart.append(svg('text', { x: LEFT - 6, y: y + 4, 'text-anchor': 'end' }, text));
  }
  chart.append(svg('text', { x: LEFT, y: CHART_H - 6 }, 'frame 0'));
  const end = { x: CHART_W - RIGHT, y: CHART_H - 6, 'text-anchor': 'end' };
  chart.append(svg('text', end, `frame ${last}`));
  for (const s of series) chart.append(curve(s, xOf, yOf));
  chart.append(svg('line', { class: 'mark', y1: TOP, y2: CHART_H - BOTTOM, stroke: '#ffb000' }));
  chart.addEventListener('click', (event) => {
    const x = (event.offsetX * CHART_W) / chart.getBoundingClientRect().width;
    show(nearestPlace(((x - LEFT) * last) / (CHART_W - LEFT - RIGHT)));
  });
  byId('charts').append(framed(chart, series));
}

function curve(series, xOf, yOf) {
  let path = '';
  let drawing = false;
  for (const n of data.numbers) {
    const value = series.value(n);
    if (value !== null) path += `${drawing ? 'L' : 'M'}${xOf(n.index)} ${yOf(value)}`;
    drawing = value !== null;
  }
  const look = { fill: 'none', stroke: series.color, 'stroke-width': 2, 'stroke-linecap': 'round' };
  return svg('path', { d: path, ...look });
}

function framed(chart, series) {
  const figure = document.createElement('figure');
  figure.className = 'chart';
  const captions = document.createElement('figcaption');
  for (const s of series) {
    const swatch = document.createElement('span');
    swatch.className = 'swatch';
    swatch.style.background = s.color;
    const entry = document.createElement('span');
    entry.append(swatch, s.title);
    captions.append(entry);
  }
  figure.append(captions, chart);
  return figure;
}

const percent = (share) => (share === null ? null : 100 * share);

drawLegend();
addChart('ms', [{
  title: 'latency: image sent until all outputs are here', color: '#5ab0ff',
  value: (n) => n.latency_ms,
}]);
addChart('%', [
  { title: 'depth error (abs_rel)', color: '#ff8a5a', value: (n) => percent(n.abs_rel) },
  {
    title: 'labels that are wrong', color: '#8ad06a',
    value: (n) => (n.right_labels === null ? null : 100 - 100 * n.right_labels),
  },
]);
if (data.shots.length) {
  byId('camera').addEventListener('load', () => {
    const { naturalWidth, naturalHeight } = byId('camera');
    byId('cloud').width = 640;
    byId('cloud').height = Math.round((640 * naturalHeight) / naturalWidth);
    cloud.draw();
  }, { once: true });
  startPlayer();
  turnByMouse();
  show(0);
}
