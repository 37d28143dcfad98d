# SPDX-License-Identifier: Apache-2.0
"""See the whole thing work: a drive goes over DDS through the installed depth_node and back.

The drive is played twice. First every frame is sent, at the drive's own rate but never before
the previous one is answered: that gives a picture and a recording of every frame. Then frames come
at a camera's rate whether the node is ready or not; it answers the newest and drops the others,
by design, and the table says how many. The first pass subscribes to everything there is, the
second to what a robot may want at once. Latency is from publishing an image until the last of its
outputs has come, over DDS, in the other process.

The pictures, the cloud and the numbers can be looked at in index.html, one file for any browser.

    make demo                             # the built-in synthetic drive
    make demo IMAGES=folder FOV=70        # your own pictures (or VIDEO=file)
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from lightdepth_ros import terminal
from lightdepth_ros.errors import LightdepthError
from lightdepth_ros.files import check_writable, write_files
from tools import demo_passes
from tools.demo_drive import Drive, open_drive
from tools.demo_flags import REAL_TIME_S, arguments
from tools.demo_link import FRAME_ID, INPUTS, TOPIC_TYPES, TYPICAL, Link, ignore
from tools.demo_node import DemoError, NodeProcess
from tools.demo_page import Table as PageTable
from tools.demo_page import page
from tools.demo_recording import Recording, messages_in
from tools.demo_report import COLUMNS, Pass, markdown, missing_messages
from tools.ros_env import claim_domain_id, ros_environment, share_folder

MADE = ('frames', 'recording', 'index.html', 'table.md', 'node.log')
"""What the demo makes in its output folder. Earlier ones are removed first, and nothing else."""


def main() -> int:
    """Run the demo; 0 only if every output came for every frame and is as it must be."""
    args = arguments(__doc__)
    console = Console(highlight=False)
    env = ros_environment(os.environ, domain_id=claim_domain_id())
    os.environ.update(env)  # rclpy looks at it when the link is made
    try:
        drive = open_drive(args)
        clear(args.out)
        problems = play(args, drive, env, console)
    except (DemoError, LightdepthError) as error:
        problems = [str(error)]
    except KeyboardInterrupt:
        console.print('Interrupted; the node was stopped.')
        return 130
    for problem in problems:
        console.print(f'[red]wrong:[/] {escape(problem)}')
    if problems:
        console.print(f"The demo failed. The node's own words are in {args.out}/node.log")
        return 1
    console.print(
        f'All outputs came and fit together. Open {args.out}/index.html in a browser; '
        f'every picture is in {args.out}/frames/'
    )
    return 0


def play(
    args: argparse.Namespace, drive: Drive, env: Mapping[str, str], console: Console
) -> list[str]:
    """Play the drive through a node, write what comes back, and return what is wrong with it."""
    frames = iter(drive.frames)
    first = next(frames)
    console.print(escape(f'Drive: {drive.title}. {drive.note}'.rstrip()))
    console.print(
        f'To watch meanwhile: export ROS_DOMAIN_ID={env["ROS_DOMAIN_ID"]}, frame {FRAME_ID}.'
    )
    with (
        NodeProcess(node_arguments(args), env, args.out / 'node.log') as node,
        closing(Link()) as link,
        closing(Recording(args.out / 'recording')) as recording,
    ):
        demo_passes.warm_up(link, node, first, args.start_timeout)
        link.record(recording.write)
        shown = track(chain([first], frames), 'playing', drive.total or None, console=console)
        folder = args.out / 'frames'
        paced, played = demo_passes.every_frame(link, node, iter(shown), drive.fps, folder)
        topics = dict(link.topics)
        link.record(ignore)
        link.keep = False
        link.listen_only_to(TYPICAL)
        fast = demo_passes.real_time(link, node, played.kept, args.rate, REAL_TIME_S)
        code = node.stop()
    if code:
        played.wrong.append(f'depth_node ended with code {code} on SIGINT; it must be 0')
    played.wrong += recorded_wrongly(recording, played.sent)
    tables = what_came([paced, fast], topics, recording)
    report(console, args.out, tables, played.truth.sentence())
    lines = [f'Drive: {drive.title}. {drive.note}'.rstrip(), *node.facts]
    text = page(played.album, 'lightdepth_ros: make demo', lines, tables, played.truth.sentence())
    write_files({args.out / 'index.html': text.encode()})
    return played.wrong


def recorded_wrongly(recording: Recording, frames: int) -> list[str]:
    """Return what is missing in the recording, after reading it back."""
    read = messages_in(recording.folder)
    wrong = missing_messages(read, {**INPUTS, **TOPIC_TYPES}, frames)
    if read != dict(recording.written):
        wrong.append(f'the recording holds {read}, but {dict(recording.written)} were written')
    return wrong


def what_came(
    passes: Sequence[Pass], topics: Mapping[str, str], recording: Recording
) -> tuple[PageTable, PageTable]:
    """Return the tables of the passes and of the topics."""
    heard = [
        [topic, kind, str(recording.written[topic]) if recording.can_write(kind) else 'not kept']
        for topic, kind in sorted(topics.items())
    ]
    return (COLUMNS, [row.row() for row in passes]), (('topic', 'type', 'recorded'), heard)


def report(console: Console, out: Path, tables: Sequence[PageTable], truth: str) -> None:
    """Print the tables and write them to table.md."""
    for columns, rows in tables:
        shown = Table(*columns)
        for row in rows:
            shown.add_row(*row)
        console.print(shown)
    if truth:
        console.print(truth)
    text = '\n'.join([*(markdown(*table) for table in tables), truth, ''])
    write_files({out / 'table.md': text.encode()})


def node_arguments(args: argparse.Namespace) -> list[str]:
    """Return the command line of depth_node: the shipped parameters, then what was asked for."""
    said = {'fit': 'adapt', 'output_resolution': args.output_resolution}
    said |= {name: getattr(args, name) for name in ('backend', 'model') if getattr(args, name)}
    words = ['--ros-args', '--params-file', str(share_folder() / 'config' / 'depth.yaml')]
    return [*words, *chain.from_iterable(('-p', f'{n}:={value}') for n, value in said.items())]


def clear(out: Path) -> None:
    """Make the output folder, without what an earlier demo left there. Raises WriteError."""
    check_writable(out)
    for name in MADE:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


if __name__ == '__main__':
    sys.exit(terminal.run(main))
