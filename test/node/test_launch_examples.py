# SPDX-License-Identifier: Apache-2.0
"""The launch files that start more than the depth node, run against stand-ins (no ROS needed)."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from launch_stage import LAUNCH_FILES, Recorded, Stage, described, stage_for

from lightdepth_ros import shared_memory
from tools import nav2_config
from tools.ros_env import ROOT

LAUNCH = ROOT / 'launch'
DRIVERS = {
    'usb_cam.launch.py': 'usb_cam',
    'realsense_color.launch.py': 'realsense2_camera',
    'bag.launch.py': 'ros2bag',
}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return stage_for(monkeypatch)


@pytest.fixture
def bag(tmp_path: Path) -> str:
    path = tmp_path / 'drive.mcap'
    path.touch()
    return str(path)


def name_of(path: Path) -> str:
    return path.name


def start(stage: Stage, name: str, **given: str) -> list[Recorded]:
    return stage.started(LAUNCH / name, **given)


def inputs(node: Recorded) -> dict[str, str]:
    return dict(node.remappings)


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=name_of)
def test_every_argument_is_described(stage: Stage, path: Path):
    declared = [a for a in described(path) if a.kind == 'Declare']
    assert declared
    assert all(len(a.description) > 10 and a.description.endswith('.') for a in declared)


@pytest.mark.parametrize('path', LAUNCH_FILES, ids=name_of)
def test_the_arguments_that_are_read_are_the_declared_ones(stage: Stage, path: Path, bag: str):
    stage.started(path, rviz='true', bag=bag)
    alone = ('laserscan.launch.py', 'shared_memory.launch.py')
    unused = {'rviz', 'bag'} if path.name in alone else set()
    if path.name != 'bag.launch.py':
        unused.add('bag')
    assert stage.read == set(stage.values) - unused


@pytest.mark.parametrize('name', [*DRIVERS, 'two_cameras.launch.py'])
def test_every_argument_of_the_depth_node_works_there_too(stage: Stage, name: str, bag: str):
    given = {'output_resolution': 'XS', 'params_file': bag, 'namespace': 'robot'}
    *_, depth = start(stage, name, bag=bag, **given)
    assert (depth.executable, depth.namespace) == ('depth_node', 'robot')
    file, said = depth.parameters
    assert (file, said['output_resolution']) == (bag, 'XS')


@pytest.mark.parametrize(('name', 'package'), DRIVERS.items())
def test_a_missing_driver_ends_the_launch_before_anything_has_started(
    stage: Stage, name: str, package: str, bag: str
):
    stage.packages.remove(package)
    with pytest.raises(RuntimeError, match='apt install ros-.ROS_DISTRO-' + package[:3]):
        start(stage, name, bag=bag)
    assert stage.begun == []


@pytest.mark.parametrize('name', ['usb_cam.launch.py', 'realsense_color.launch.py'])
def test_driver_and_depth_node_get_the_same_profile_for_large_messages(stage: Stage, name: str):
    driver, depth = start(stage, name)
    assert set(driver.environment) == set(shared_memory.VARIABLES)
    assert driver.environment == depth.environment
    assert {Path(path).parent for path in driver.environment.values()} == {ROOT / 'config'}


def test_a_profile_that_the_user_has_chosen_or_refused_stays(stage: Stage, monkeypatch):
    [node] = start(stage, 'depth.launch.py', fastdds_profile='none')
    assert node.environment == {}
    monkeypatch.setenv(shared_memory.VARIABLES[0], '/etc/mine.xml')
    [node] = start(stage, 'depth.launch.py', fastdds_profile='auto')
    assert node.environment == {}


def test_a_profile_that_does_not_exist_is_refused(stage: Stage):
    with pytest.raises(RuntimeError, match='must be auto, none, or a file'):
        start(stage, 'depth.launch.py', fastdds_profile='/nowhere.xml')


def test_usb_camera_publishes_where_the_depth_node_listens(stage: Stage):
    driver, depth = start(stage, 'usb_cam.launch.py', camera_name='nose', image_width='1280')
    assert (driver.package, driver.executable) == ('usb_cam', 'usb_cam_node_exe')
    assert driver.namespace == 'nose'
    assert inputs(depth) == {'image': '/nose/image_raw', 'camera_info': '/nose/camera_info'}
    [parameters] = driver.parameters
    assert (parameters['image_width'], parameters['framerate']) == (1280, 30.0)
    assert parameters['frame_id'] == 'camera_optical_frame'


def test_rviz_looks_from_the_frame_of_the_usb_camera(stage: Stage):
    *_, rviz = start(stage, 'usb_cam.launch.py', rviz='true', frame_id='nose_optical')
    assert rviz.arguments[-2:] == ['-f', 'nose_optical']


def test_realsense_publishes_colour_alone_where_the_depth_node_listens(stage: Stage):
    driver, depth = start(
        stage, 'realsense_color.launch.py', camera_namespace='robot', camera_name='d435'
    )
    assert (driver.executable, driver.namespace, driver.name) == (
        'realsense2_camera_node',
        'robot',
        'd435',
    )
    [parameters] = driver.parameters
    assert parameters['enable_color'] is True
    assert parameters['enable_depth'] is parameters['enable_infra1'] is False
    assert parameters['camera_name'] == 'd435'
    assert 'serial_no' not in parameters
    assert inputs(depth) == {
        'image': '/robot/d435/color/image_raw',
        'camera_info': '/robot/d435/color/camera_info',
    }


def test_serial_number_stays_a_text(stage: Stage):
    driver, _ = start(stage, 'realsense_color.launch.py', serial_no='0123')
    assert driver.parameters[0]['serial_no'] == '0123'


def test_recording_brings_its_clock_and_waits_for_the_model(stage: Stage, bag: str):
    player, depth = start(stage, 'bag.launch.py', bag=bag, image='/cam/image', rate='0.5')
    assert player.cmd[:4] == ['ros2', 'bag', 'play', bag]
    options = dict(zip(player.cmd[4::2], player.cmd[5::2], strict=True))
    assert options == {'--clock': '100', '--rate': '0.5', '--delay': '5.0'}
    assert depth.parameters[1]['use_sim_time'] is True
    assert inputs(depth)['image'] == '/cam/image'


def test_recording_can_be_looped_and_must_exist(stage: Stage, bag: str):
    player, _ = start(stage, 'bag.launch.py', bag=bag, loop='true')
    assert player.cmd[-1] == '--loop'
    with pytest.raises(RuntimeError, match='no recording at nowhere'):
        start(stage, 'bag.launch.py', bag='nowhere')


def test_two_cameras_are_one_node_with_topics_below_their_names(stage: Stage):
    [node] = start(stage, 'two_cameras.launch.py')
    assert node.parameters[1]['cameras'] == ['front', 'left']
    assert inputs(node) == {
        'front/image': '/front/image_raw',
        'front/camera_info': '/front/camera_info',
        'left/image': '/left/image_raw',
        'left/camera_info': '/left/camera_info',
    }


def test_cameras_can_be_other_ones_on_other_topics(stage: Stage):
    [node] = start(stage, 'two_cameras.launch.py', cameras='a, b,c', image='/x/{camera}/rgb')
    assert node.parameters[1]['cameras'] == ['a', 'b', 'c']
    assert inputs(node)['b/image'] == '/x/b/rgb'


def test_scan_from_obstacles_covers_no_more_than_the_camera_sees(stage: Stage):
    [node] = start(stage, 'laserscan.launch.py')
    assert (node.package, node.executable) == (
        'pointcloud_to_laserscan',
        'pointcloud_to_laserscan_node',
    )
    assert inputs(node) == {'cloud_in': 'points_obstacles', 'scan': 'scan'}
    [parameters] = node.parameters
    assert parameters['target_frame'] == 'base_link'
    across, _ = nav2_config.field_of_view_rad()
    assert 0.9 * across < parameters['angle_max'] - parameters['angle_min'] < across
    assert parameters['angle_max'] == -parameters['angle_min']
    assert parameters['angle_increment'] == pytest.approx(math.radians(0.5))
    assert parameters['range_max'] == nav2_config.MARK_RANGE_M
    assert parameters['max_height'] == nav2_config.HEIGHT_M[1]


def test_scan_from_depth_reads_image_and_camera_info_of_one_namespace(stage: Stage):
    [node] = start(
        stage, 'laserscan.launch.py', source='depth', namespace='front', use_sim_time='true'
    )
    assert (node.package, node.namespace) == ('depthimage_to_laserscan', 'front')
    assert inputs(node) == {
        'depth': 'depth/image',
        'depth_camera_info': 'depth/camera_info',
        'scan': 'scan',
    }
    [parameters] = node.parameters
    assert parameters['output_frame'] == 'camera_link'  # x forward, not the optical frame
    assert (parameters['scan_height'], parameters['use_sim_time']) == (10, True)


def test_scan_reads_topics_that_the_depth_node_has(stage: Stage):
    outputs = pytest.importorskip(
        'lightdepth_ros.stream.outputs', reason='needs the ROS 2 messages'
    )
    topics = {output.topic for output in outputs.TOPICS}
    for source in ('cloud', 'depth'):
        [node] = start(stage, 'laserscan.launch.py', source=source)
        assert set(inputs(node).values()) - {'scan'} <= topics


def test_unknown_source_of_a_scan_is_refused(stage: Stage):
    with pytest.raises(RuntimeError, match='must be one of cloud, depth'):
        start(stage, 'laserscan.launch.py', source='radar')
