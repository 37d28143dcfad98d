# SPDX-License-Identifier: Apache-2.0
"""Results of training.evaluate as Markdown tables; takes its plain data, knows no model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Result = dict[str, Any]
METRIC_HEADS = {
    'abs_rel': 'abs_rel', 'sq_rel': 'sq_rel m', 'rmse': 'RMSE m', 'rmse_log': 'RMSE log',
    'silog': 'SILog', 'delta1': 'delta1', 'delta2': 'delta2', 'delta3': 'delta3',
}  # fmt: skip


WAYS = {
    'node': 'Frames as the node takes them by default',
    'predict': 'Frames as `lightdepth predict` takes them by default',
    'one-pass': 'Whole frames by one pass',
    'three-tiles': 'Whole frames by three 3:2 tiles, overlaps averaged',
}
"""The ways of training.scoring.fullframe.WIDE_FORMS in words."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with padded cells, so that it reads well as plain text too."""
    widths = [max(len(line[k]) for line in [head, *rows]) for k in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return '| ' + ' | '.join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + ' |'

    rule = '|' + '|'.join('-' * (w + 2) for w in widths) + '|'
    return '\n'.join([line(head), rule, *(line(row) for row in rows)])


def number(value: float, name: str = '') -> str:
    """Format one metric: metres and SILog with two decimals, ratios with three, no value -."""
    if math.isnan(value):
        return '-'
    return f'{value:.2f}' if name in ('rmse', 'silog', 'sq_rel') else f'{value:.3f}'


def percent(value: float) -> str:
    """Format a share; no value is -."""
    return '-' if math.isnan(value) else f'{100 * value:.1f} %'


def signed(value: float) -> str:
    """Format a change as percent with its sign; no value is -."""
    return '-' if math.isnan(value) else f'{100 * value:+.0f} %'


def group_of(result: Result) -> tuple[str, ...]:
    """Return what the results of one table have in common."""
    return result['data'], result['wide'], result.get('mount', 'unknown')


def markdown(results: Sequence[Result]) -> str:
    """Return every table that the results have, one group per data set."""
    blocks = []
    for key in dict.fromkeys(map(group_of, results)):
        group = [r for r in results if group_of(r) == key]
        blocks.append(heading(group[0]))
        blocks += [text for section in SECTIONS if (text := section(group))]
    return '\n\n'.join(blocks) + '\n'


def heading(result: Result) -> str:
    """Return the data set, its frames, the way of running and the protocol."""
    height, width = result['input_hw']
    mount = result.get('mount', 'unknown')
    ways = ' = '.join(result.get('same', [result['wide']]))
    lines = [
        f'## {result["data"]}, {len(result["frames"])} frames, {ways}, mount {mount}',
        f'{WAYS[result["wide"]]}, fit {result["fit"]}; network input {width}x{height} (W x H), '
        f'{result["backend"]}.',
    ]
    if 'depth' in result:
        lines.append(
            result['protocol']['words'][0].upper() + result['protocol']['words'][1:] + '.'
        )
    return '\n\n'.join([lines[0], ' '.join(lines[1:])])


def depth_table(group: Sequence[Result]) -> str:
    """Return the main table: one model a row."""
    rows = [
        [r['model'], *(number(r['depth'][k], k) for k in METRIC_HEADS), percent(r['coverage'])]
        for r in group if 'depth' in r
    ]  # fmt: skip
    return table(['model', *METRIC_HEADS.values(), 'coverage'], rows) if rows else ''


def distance_table(group: Sequence[Result]) -> str:
    """Return abs_rel, RMSE and bias by true distance, over all pixels thrown together."""
    kept = [r for r in group if 'by_distance' in r]
    if not kept:
        return ''
    bands = kept[0]['by_distance']
    head = ['abs_rel / RMSE m / bias at', *(f'{b["from_m"]:g}-{b["to_m"]:g} m' for b in bands)]
    rows = [
        [
            r['model'],
            *(
                f'{number(b["abs_rel"])} / {number(b["rmse"], "rmse")} / {signed(b["bias"])}'
                for b in r['by_distance']
            ),
        ]
        for r in kept
    ]
    return table(head, rows)


def third_table(group: Sequence[Result]) -> str:
    """Return abs_rel and bias by third of the picture's width."""
    kept = [r for r in group if 'by_third' in r]
    rows = [[r['model'], *map(error_and_bias, r['by_third'].values())] for r in kept]
    return table(['abs_rel / bias, third', *kept[0]['by_third']], rows) if rows else ''


def class_table(group: Sequence[Result]) -> str:
    """Return abs_rel, bias and points by class, one class a row, one model a column."""
    kept = [r for r in group if r.get('by_class')]
    if not kept:
        return ''
    names = list(dict.fromkeys(name for r in kept for name in r['by_class']))
    head = [f'abs_rel / bias / points, classes from {kept[0]["classes_from"]}']
    rows = [[name, *(class_cell(r['by_class'].get(name)) for r in kept)] for name in names]
    return table([*head, *(r['model'] for r in kept)], rows)


def class_cell(found: dict[str, float] | None) -> str:
    """Return one class's cell."""
    return f'{error_and_bias(found)} / {found["pixels"]}' if found else '-'


def error_and_bias(found: dict[str, float]) -> str:
    """Return abs_rel and bias as a cell."""
    return f'{number(found["abs_rel"])} / {signed(found["bias"])}'


def height_table(group: Sequence[Result]) -> str:
    """Return abs_rel and bias by height of the camera, where the data set tells any."""
    kept = [r for r in group if r.get('by_height')]
    if not kept:
        return ''
    head = [f'{b["height"]} ({b["frames"]} frames)' for b in kept[0]['by_height']]
    rows = [[r['model'], *map(error_and_bias, r['by_height'])] for r in kept]
    return table(['abs_rel / bias, camera at', *head], rows)


def nearest_table(group: Sequence[Result]) -> str:
    """Return what is said of the nearest obstacle of each direction."""
    rows = []
    for r in group:
        found = r.get('nearest')
        if found:
            shares = [percent(found[k]) for k in ('within_10', 'too_far_125', 'too_far_150',
                                                  'too_near_125', 'not_seen')]  # fmt: skip
            rows.append([r['model'], str(found['sectors']), *shares, str(found['unanswered'])])
    head = ['nearest obstacle per 2 degrees, to 20 m', 'directions', 'within 10 %',
            'over 1.25 x too far', 'over 1.5 x too far', 'over 1.25 x too near', 'not seen',
            'outside the view']  # fmt: skip
    return table(head, rows) if rows else ''


def shift_table(group: Sequence[Result]) -> str:
    """Return what changes when the window moves."""
    kept = [r for r in group if r.get('robot', {}).get('shift')]
    if not kept:
        return ''
    first = kept[0]['robot']['shift']
    names = [k for k, v in first.items() if isinstance(v, dict)]
    rows = [[r['model'], *(shift_cell(r['robot']['shift'][n]) for n in names)] for r in kept]
    head = f'mean abs ln ratio of depth / labels changed, window moved by {first["pixels"]} px'
    return table([head, *names], rows)


def shift_cell(found: dict[str, float]) -> str:
    """Return the changes of one direction."""
    return f'{percent(found["depth"])} / {percent(found["label"])}'


def confidence_table(group: Sequence[Result]) -> str:
    """Return what the confidence output is worth."""
    head = ['confidence', 'calibration error', 'RMSE m', 'without least sure fifth', 'cut by',
            'without worst fifth']  # fmt: skip
    rows = []
    for r in group:
        if 'confidence' in r:
            c = r['confidence']
            rows.append([
                r['model'], number(c['calibration_error']), number(c['rmse_m'], 'rmse'),
                number(c['rmse_without_least_confident_fifth_m'], 'rmse'), percent(c['rmse_cut']),
                number(c['rmse_without_worst_fifth_m'], 'rmse'),
            ])  # fmt: skip
    return table(head, rows) if rows else ''


LABEL_HEADS = {'nav7': 'IoU of nav7', 'classes': "IoU against the data set's labels"}
"""Fine labels of a data set may be a teacher's: then the figure says how well it is copied."""


def label_table(key: str) -> Callable[[Sequence[Result]], str]:
    """Return the section for 'nav7' or 'classes': mean IoU and IoU by class."""

    def section(group: Sequence[Result]) -> str:
        kept = [r for r in group if key in r]
        if not kept:
            return ''
        head = [LABEL_HEADS[key], 'mean', *kept[0][key]['iou'], 'pixels right', 'coverage']
        rows = [
            [r['model'], number(r[key]['miou']), *map(number, r[key]['iou'].values()),
             number(r[key]['pixel_accuracy']), percent(r[key]['coverage'])]
            for r in kept
        ]  # fmt: skip
        return table(head, rows)

    return section


def ground_table(group: Sequence[Result]) -> str:
    """Return flatness of drivable ground and depth on obstacles."""
    rows = []
    for r in group:
        robot = r.get('robot', {})
        if 'ground' in robot:
            said, true = robot['ground']['prediction'], robot['ground']['truth']
            rows.append([
                r['model'], *(number(g.get(k, float('nan'))) for g in (said, true)
                              for k in ('rms_m', 'camera_height_m')),
                *(f'{percent(o["within_10_percent"])} / {percent(o["within_25_percent"])} '
                  f'of {o["pixels"]}' for o in robot['obstacles'].values()),
                robot['labels_from'],
            ])  # fmt: skip
    head = ['ground within 20 m', 'RMS to plane m', 'camera height m', 'truth: RMS m',
            'truth: height m', 'person within 10 / 25 %', 'vehicle within 10 / 25 %',
            'classes from']  # fmt: skip
    return table(head, rows) if rows else ''


def level_table(group: Sequence[Result]) -> str:
    """Return how well depth on the road fits level ground, where there is no depth truth."""
    rows = []
    for r in group:
        found = r.get('robot', {}).get('level')
        if found and found['frames']:
            spread = f'{percent(found["residual"])} / {percent(found["residual_p90"])}'
            rows.append([r['model'], str(found['frames']), percent(found['sane']), spread,
                         percent(found['horizon'])])  # fmt: skip
    head = ['road as level ground', 'frames', 'sane', 'residual: median / p90',
            'horizon, from the top']  # fmt: skip
    return table(head, rows) if rows else ''


def fault_table(group: Sequence[Result]) -> str:
    """Return the share of delta1 kept under each image fault."""
    kept = [r for r in group if r.get('robot', {}).get('faults')]
    if not kept:
        return ''
    head = ['delta1 kept (abs_rel) under', *kept[0]['robot']['faults']]
    rows = [
        [r['model'], *(f'{percent(f["kept"])} ({number(f["abs_rel"])})'
                       for f in r['robot']['faults'].values())]
        for r in kept
    ]  # fmt: skip
    return table(head, rows)


def focal_table(group: Sequence[Result]) -> str:
    """Return how far metric depth stays when the focal length changes."""
    kept = [r for r in group if r.get('robot', {}).get('focal')]
    if not kept:
        return ''
    head = ['median depth change (delta1 kept) at focal length x', *kept[0]['robot']['focal']]
    rows = [
        [r['model'], *(f'{100 * math.expm1(f["scale_change"]):+.1f} % ({percent(f["kept"])})'
                       for f in r['robot']['focal'].values())]
        for r in kept
    ]  # fmt: skip
    return table(head, rows)


def flicker_table(group: Sequence[Result]) -> str:
    """Return frame-to-frame flicker on static pixels."""
    rows = []
    for r in group:
        found = r.get('robot', {}).get('flicker')
        if found:
            shares = [percent(found[k]) if k in found else '-' for k in ('local', 'common')]
            pairs = f'{found["pairs"]} ({found["skipped"]} skipped)'
            rows.append([r['model'], *shares, pairs, found['labels_from']])
    head = ['flicker', 'local', 'common change', 'pairs', 'classes from']
    return table(head, rows) if rows else ''


SECTIONS = (
    depth_table, distance_table, third_table, height_table, class_table, nearest_table,
    confidence_table, label_table('nav7'), label_table('classes'), ground_table, level_table,
    shift_table, fault_table, focal_table, flicker_table,
)  # fmt: skip
