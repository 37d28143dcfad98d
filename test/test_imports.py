# SPDX-License-Identifier: Apache-2.0
"""Imports point one way: libraries stay at the rim, the runtime never sees training.

Every import statement of a file counts, wherever in the file it stands.
"""

import ast
import re
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
ROOMS = {
    'the root': (),
    'engines/': ('the root',),
    'perception/': ('the root', 'engines/'),
    'stream/': ('the root', 'engines/', 'perception/'),
    'node/': ('the root', 'stream/'),
    'bag/': ('the root', 'perception/', 'stream/'),
    'scale/': ('the root', 'perception/', 'stream/', 'bag/'),
    'bench/': ('the root', 'engines/', 'perception/'),
    'cli/': ('the root', 'engines/', 'perception/', 'stream/', 'bag/', 'scale/', 'bench/'),
}
"""Room of lightdepth_ros/ -> the rooms whose files its own may import, as in the table of
docs/architecture.md."""
DOOR = 'lightdepth_ros.loading'
"""The one file at the root that leads into a room, for programs that import this package."""
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


def modules(paths) -> dict[str, set[str]]:
    """Return each module's imports of other modules among `paths`, from anywhere in its file."""
    own = {module_of(path): path for path in paths}
    return {name: meant(path, own.keys()) - {name} for name, path in own.items()}


def meant(path: Path, own) -> set[str]:
    """Return which of the modules `own` a file imports, or imports something of.

    `from package import module` means the module alone, not the package's own file.
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        names = imported([node]) & own
        if isinstance(node, ast.ImportFrom):
            whole = {f'{node.module}.{alias.name}' for alias in node.names}
            names -= {node.module} if whole <= own else set()
        found |= names
    return found


def room_of(module: str) -> str:
    """Return the folder that a module of the runtime lies in."""
    path = ROOT / module.replace('.', '/')
    parts = module.split('.')[1 : None if path.is_dir() else -1]
    return f'{parts[0]}/' if parts else 'the root'


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


@pytest.mark.parametrize('paths', [RUNTIME, TRAINING], ids=['runtime', 'training'])
def test_no_module_imports_itself_in_a_circle(paths):
    graph = modules(paths)
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


@pytest.mark.parametrize('room', ROOMS)
def test_a_room_imports_from_the_rooms_it_may(room):
    graph = modules(RUNTIME)
    strays = {
        f'{name} -> {other}'
        for name, others in graph.items()
        if room_of(name) == room and name != DOOR
        for other in others
        if room_of(other) not in (room, *ROOMS[room])
    }
    assert not strays


def test_every_room_is_in_the_table():
    assert {room_of(name) for name in modules(RUNTIME)} == set(ROOMS)


def test_the_page_on_architecture_shows_the_same_table():
    page = (ROOT / 'docs' / 'architecture.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| (the root|`\w+/`) \| ([^|]*) \| [^|]* \|$', page, re.MULTILINE)
    shown = {
        room.strip('`'): tuple(word.strip('` ') for word in may.split(',') if word.strip() != '-')
        for room, may in rows
    }
    assert shown == ROOMS


def test_libraries_of_training_import_no_program():
    """What can be typed stands at the top; config.py there owns the defaults."""
    strays = {
        f'{name} -> {other}'
        for name, others in modules(TRAINING).items()
        if name.count('.') > 1
        for other in others
        if other.count('.') == 1 and other != 'training.config' and not is_package(other)
    }
    assert not strays


def is_package(module: str) -> bool:
    return (ROOT / module.replace('.', '/')).is_dir()


def test_rclpys_private_parts_are_touched_in_one_file_only():
    touched = {
        path.name
        for path in RUNTIME
        if re.search(r'rclpy_implementation|\b_service_\w+', path.read_text(encoding='utf-8'))
    }
    assert touched == {'rclpy_workarounds.py'}


def test_every_name_imported_from_this_repository_is_there():
    """Programs that no test starts are read too."""
    paths = {
        module_of(path): path
        for folder in ('lightdepth_ros', 'training', 'tools')
        for path in (ROOT / folder).rglob('*.py')
    }
    own = {name: names_of(path) for name, path in paths.items()}
    strays = {
        f'{name}: {node.module}.{alias.name}'
        for name, path in paths.items()
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.ImportFrom) and node.module.split('.')[0] in paths
        for alias in node.names
        if f'{node.module}.{alias.name}' not in own
        if alias.name not in own.get(node.module, ())
    }
    assert not strays


def names_of(path: Path) -> set[str]:
    """Return the names that a file defines or imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {alias.asname or alias.name.split('.')[0] for alias in node.names}
    return found


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


def test_the_check_knows_the_room_of_a_module_and_of_a_package():
    assert room_of('lightdepth_ros.config') == 'the root'
    assert room_of('lightdepth_ros') == 'the root'
    assert room_of('lightdepth_ros.cli') == 'cli/'
    assert room_of('lightdepth_ros.cli.predict') == 'cli/'
