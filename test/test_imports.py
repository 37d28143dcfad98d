# SPDX-License-Identifier: Apache-2.0
"""Imports point one way: libraries stay at the rim, the runtime never sees training."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNTIME = sorted((ROOT / 'lightdepth_ros').rglob('*.py'))
TRAINING = sorted((ROOT / 'training').rglob('*.py'))

ROS = {
    *('rclpy', 'sensor_msgs', 'std_msgs', 'geometry_msgs', 'diagnostic_msgs', 'lifecycle_msgs'),
    *('rcl_interfaces', 'builtin_interfaces', 'vision_msgs', 'cv_bridge', 'bondpy', 'launch'),
    *('launch_ros', 'ament_index_python', 'tf2_msgs', 'tf2_ros'),
}
AT_THE_RIM = {
    **dict.fromkeys(ROS, ('node/', 'stream/messages.py')),
    'onnxruntime': ('engines/onnxruntime.py',),
    'openvino': ('engines/openvino',),
    **dict.fromkeys(('rosbags', 'apsw'), ('bag/recording.py', 'bag/writer.py')),
    **dict.fromkeys(
        ('tensorrt', 'tensorrt_rtx', 'cuda', 'onnx'),
        ('engines/tensorrt', 'engines/cuda_io.py'),
    ),
}
"""Library -> the runtime files (or beginnings of their names) that may import it."""
NEVER_AT_RUN_TIME = {'torch', 'lightning', 'torchmetrics', 'transformers', 'training', 'tools'}
FRAMEWORK = {'rclpy', 'torch', 'onnxruntime', 'openvino', 'tensorrt', 'onnx', 'yaml', 'rich'}


def name_of(path: Path) -> str:
    """Return a path as inside its package: engines/onnxruntime.py."""
    return path.relative_to(ROOT).as_posix().split('/', 1)[1]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imported(nodes) -> set[str]:
    """Return the dotted names that these statements import."""
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, 'relative import'
            names |= {node.module} | {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def libraries(path: Path) -> set[str]:
    """Return the top names of everything a file imports, inside functions too."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    return {name.split('.')[0] for name in imported(ast.walk(tree))}


@pytest.mark.parametrize('path', RUNTIME, ids=name_of)
def test_runtime_never_imports_training(path):
    assert not libraries(path) & NEVER_AT_RUN_TIME


@pytest.mark.parametrize('path', RUNTIME, ids=name_of)
def test_libraries_are_imported_in_their_own_files_only(path):
    strays = {
        library
        for library in libraries(path) & AT_THE_RIM.keys()
        if not name_of(path).startswith(AT_THE_RIM[library])
    }
    assert not strays


@pytest.mark.parametrize('path', TRAINING, ids=name_of)
def test_training_never_imports_ros(path):
    assert not libraries(path) & ROS


def test_no_module_of_the_runtime_imports_itself_in_a_circle():
    modules = {module_of(path): path for path in RUNTIME}
    graph = {
        name: imported(ast.parse(path.read_text(encoding='utf-8')).body) & modules.keys() - {name}
        for name, path in modules.items()
    }
    assert len(list(TopologicalSorter(graph).static_order())) >= len(modules)


def test_importing_the_array_core_loads_no_framework():
    code = (
        'import sys, lightdepth_ros.perception.perception, lightdepth_ros.perception.cloud\n'
        'import lightdepth_ros.config\n'
        f'print(sorted({FRAMEWORK!r} & sys.modules.keys()))'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == '[]'


def test_the_check_sees_imports_inside_functions_and_of_submodules():
    tree = ast.parse('def f():\n    from torch.nn import Linear\n    import a.b\n')
    assert imported(ast.walk(tree)) == {'torch.nn', 'torch.nn.Linear', 'a.b'}
