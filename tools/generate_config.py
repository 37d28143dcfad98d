# SPDX-License-Identifier: Apache-2.0
"""Write config/*.yaml, docs/parameters.md and docs/topics.md from the tables in the code.

    python -m tools.generate_config            # write them
    python -m tools.generate_config --check    # say whether they are up to date

NodeConfig (lightdepth_ros/config.py) is the only owner of defaults, units, limits and help,
lightdepth_ros/stream/outputs.py of what is published and lightdepth_ros/classes.py of the classes;
a test runs the check.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Sequence

from lightdepth_ros import terminal
from lightdepth_ros.config import Setting, Value, settings
from lightdepth_ros.files import write_files
from lightdepth_ros.stream.counters import REASONS
from tools import nav2_config
from tools.ros_env import ROOT

NOTE = 'Written by `python -m tools.generate_config` from {}; change it there.'


def depth_yaml() -> str:
    """Return the parameter file with every parameter at its default."""
    lines = [
        '# SPDX-License-Identifier: Apache-2.0',
        f'# {NOTE.format("lightdepth_ros/config.py")}',
        '# Every parameter at its default; docs/parameters.md says more.',
        '/**:',
        '  ros__parameters:',
    ]
    for setting in settings():
        unit = f' [{setting.unit}]' if setting.unit else ''
        text = f'{setting.help} {allowed(setting)}'.strip() + unit
        lines += textwrap.wrap(text, 92, initial_indent='    # ', subsequent_indent='    # ')
        lines.append(f'    {setting.name}: {yaml_value(setting.default)}')
    return '\n'.join(lines) + '\n'


def parameters_md() -> str:
    """Return docs/parameters.md."""
    rows = [
        f'| `{s.name}` | `{yaml_value(s.default)}` | {s.unit} | {allowed(s)} | {s.help} '
        f'| {"no: " + s.fixed if s.fixed else "yes"} |'
        for s in settings()
    ]
    return PARAMETERS_MD.format(note=NOTE.format('lightdepth_ros/config.py'), rows='\n'.join(rows))


def topics_md() -> str:
    """Return docs/topics.md; needs the ROS 2 message packages."""
    from lightdepth_ros.stream.outputs import TOPICS

    outputs = [f'| `{o.topic}` | {o.message_type} | {o.text} |' for o in TOPICS]
    reasons = [f'| `{reason}` | {text} |' for reason, text in REASONS.items()]
    return TOPICS_MD.format(
        note=NOTE.format('lightdepth_ros/stream/outputs.py and stream/counters.py'),
        outputs='\n'.join(outputs),
        reasons='\n'.join(reasons),
    )


def allowed(setting: Setting) -> str:
    """Return the allowed values in words; empty for any."""
    if setting.choices:
        return f'One of {", ".join(setting.choices)}.'
    if setting.limits is None:
        return ''
    low, high = setting.limits
    step = f', a multiple of {setting.step}' if setting.step else ''
    return f'{low:g} to {high:g}{step}.'


def yaml_value(value: Value) -> str:
    """Return a value as YAML; JSON is YAML, with the quotes and true/false it needs."""
    return json.dumps(value)


PARAMETERS_MD = """\
<!-- {note} -->
# Parameters of depth_node

Set them in a file (`config/depth.yaml` holds them all), as `-p name:=value`, or while the node
runs: `ros2 param set /depth_node output_resolution S`. A value that cannot work is refused with
the reason, and nothing changes. Where the last column says no, deactivate and clean up the node
first (`ros2 lifecycle set /depth_node deactivate`, `cleanup`), set it, `configure`, `activate`.
At start a wrong value ends the node with exit code 2.

| parameter | default | unit | allowed | meaning | can change while active |
|---|---|---|---|---|---|
{rows}

The quality of service of every topic can be set with ROS's own `qos_overrides` parameters, such
as `qos_overrides./depth/image.publisher.reliability: best_effort`; open are history, depth,
reliability and durability, for the two inputs all but durability. They are read when the topic is
opened.
"""

TOPICS_MD = """\
<!-- {note} -->
# Topics of depth_node

All names are relative to the node's namespace and can be remapped. With `cameras: [front, left]`
each camera has all of them below its name: `front/image`, `front/depth/image`.

## Subscribed

| topic | type | what |
|---|---|---|
| `image` | sensor_msgs/msg/Image | The camera, raw or rectified (`image_kind`): rgb8, bgr8, \
rgba8, bgra8, mono8, 8UC1, 8UC3 and 8UC4 (as BGR), all of these with 16 bits, mono10 to mono14, \
bayer_*8 to bayer_*16, yuv422 (uyvy), yuv422_yuy2 (yuyv), nv12, nv21, nv24. Of 16 bits as many \
count as the camera uses (`image_bits`). |
| `image/compressed` | sensor_msgs/msg/CompressedImage | Instead of `image` where \
`image_transport` is compressed: JPEG, PNG, WebP or TIFF, as \
compressed_image_transport names them. Video is refused, with the remedy. |
| `camera_info` | sensor_msgs/msg/CameraInfo | Its calibration: K, D (plumb_bob, \
rational_polynomial, equidistant, modified_brown_conrady), P, region of interest, binning. The \
newest one holds. Without it, or with K = 0, depth is only right up to a constant factor (unless \
`horizontal_fov_deg` is set), and no cloud is published. For a rectified image, clouds start \
where the fourth column of P puts the camera: the second one of a stereo pair has the frame_id \
of the first. |
| `/tf`, `/tf_static` | tf2_msgs/msg/TFMessage | With `mount` tf: where the camera stands, \
from the image's frame_id to `ground_frame` ([mount](mount.md)). With a range sensor in `anchor`: \
where that stands, and how the robot moves in `odom_frame`. |
| `scan` | sensor_msgs/msg/LaserScan | With scan in `anchor`: a planar lidar that depth is \
bent to ([anchoring](anchoring.md)). All cameras of a node share it, and the three below. |
| `anchor/points` | sensor_msgs/msg/PointCloud2 | With cloud in `anchor`: a lidar of any kind; \
x y z as float32 or float64. |
| `anchor/depth`, `anchor/camera_info` | sensor_msgs/msg/Image, CameraInfo | With depth in \
`anchor`: another depth camera, 16UC1 or 32FC1, rectified. |

Those of the camera are subscribed as their publishers offer them: reliable if all publishers of
the topic are, best effort otherwise; keep last 1, so that only the newest image counts. A latched
(transient local) camera_info that was sent before the node started arrives too.
`image_reliability` forces the image's reliability.

## Published

At most one result per image, all with the image's header (stamp and frame_id unchanged) and one
height and width: the network input's divided by 2, 4, 8 or 16 for `output_resolution` L, M, S or
XS; with `publish_size: camera` those of the camera image, NaN where the network did not see it.
Only topics with a subscriber are computed; without any the network does not run either. All
are reliable, keep last 2.

| topic | type | what |
|---|---|---|
{outputs}
| `depth/scale` | std_msgs/msg/Float32 | With `anchor`: the factor by which the last frame's \
depth was moved, in the middle. |
| `semantic/label_info` | vision_msgs/msg/LabelInfo | Names of the label ids; reliable, transient \
local, sent once. Where vision_msgs is not installed: the same as JSON in a std_msgs/msg/String. |
| `/diagnostics` | diagnostic_msgs/msg/DiagnosticArray | Once a second: the worst thing going on, \
in a sentence, and all numbers of `~/stats`. |
| `~/stats` | std_msgs/msg/String | Once a second: JSON, a list with one object per camera. |

With `rviz:=true` RViz shows `points` in the camera's colours and `points_obstacles` in red, above
a grid of 1 m at the height of the road:

![The cloud of a synthetic scene as config/depth.rviz shows it](images/rviz.png)

`tools/rviz_view.py` drew this from the settings in `config/depth.rviz`: eye, grid, point sizes,
colours. The scene is from the README's animation.

## What becomes of an image

`received` = `published` + all `dropped` + `in_work` (waiting or being inferred), exactly.
`not_delivered` counts images, by the running number that their publisher gives them, that never
came: the middleware lost them (see config/fastdds.xml), or the next one was there before the
node's turn. It works for one publisher per topic, and stays 0 where ROS gives no number (Humble).

| reason of a drop | meaning |
|---|---|
{reasons}

## Lifecycle

`configure` loads and checks the model and opens the outputs, `activate` subscribes, `deactivate`
unsubscribes and lets the frame in work be the last, `cleanup` frees everything. With `autostart`
(the default) the node does the first two itself, and ends with exit code 1 if they fail; without
it a failing `configure` leaves it unconfigured, and `/diagnostics` says why. An illegal
transition is answered with failure and changes nothing. SIGINT and SIGTERM end the node with exit
code 0.

An engine that is not ready after 3 seconds of `configure` is built in the background while ONNX
Runtime serves; `engine` in `~/stats` says `building`, `ready` or `refused` (see deployment.md).
"""

NAV2_NOTE = NOTE.format('tools/nav2_config.py and nav2_text.py')
FILES = {
    'config/depth.yaml': depth_yaml,
    'config/nav2_voxel.yaml': lambda: nav2_config.voxel_yaml(NAV2_NOTE),
    'config/nav2_stvl.yaml': lambda: nav2_config.stvl_yaml(NAV2_NOTE),
    'config/nav2_semantic.yaml': lambda: nav2_config.semantic_yaml(NAV2_NOTE),
    'docs/parameters.md': parameters_md,
    'docs/topics.md': topics_md,
}


def outdated(names: Sequence[str] = tuple(FILES)) -> list[str]:
    """Return those of the files that differ from what the code says."""
    return [
        name
        for name in names
        if not (ROOT / name).is_file()
        or (ROOT / name).read_text(encoding='utf-8') != FILES[name]()
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the files; 1 if the check finds one out of date."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing; exit 1 if outdated')
    check = parser.parse_args(argv).check
    for name in outdated():
        print(f'{name} is out of date' if check else f'wrote {name}')
        if not check:
            write_files({ROOT / name: FILES[name]().encode()})
    return 1 if check and outdated() else 0


if __name__ == '__main__':
    sys.exit(terminal.run(main))
