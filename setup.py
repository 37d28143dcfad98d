# SPDX-License-Identifier: Apache-2.0
"""Install lightdepth_ros with colcon (`colcon build`) or with pip (`pip install .`).

Both put `depth_node` where `ros2 run` and `ros2 launch` look, lib/lightdepth_ros, and enter the
package in the ament index. The version is the one in package.xml.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

PACKAGE = 'lightdepth_ros'
HERE = Path(__file__).parent


def files(folder: str, pattern: str = '*') -> list[str]:
    """Return the files of a folder, relative to this one, as setuptools wants them."""
    return sorted(
        str(path.relative_to(HERE)) for path in (HERE / folder).glob(pattern) if path.is_file()
    )


setup(
    name=PACKAGE,
    version=ElementTree.parse(HERE / 'package.xml').findtext('version'),
    description='Metric depth, semantic labels and point clouds from one camera, in real time.',
    author='lightdepth_ros maintainers',
    author_email='maintainers@lightdepth.example',
    maintainer='lightdepth_ros maintainers',
    maintainer_email='maintainers@lightdepth.example',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed', 'models/*.*', 'models/int8/*']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', files('launch', '*.launch.py')),
        (f'share/{PACKAGE}/config', files('config')),
        (f'lib/{PACKAGE}', files('scripts')),
    ],
    install_requires=['numpy', 'onnxruntime', 'opencv-python-headless', 'PyYAML', 'rich'],
    extras_require={
        'bag': ['rosbags'],
        'openvino': ['openvino'],
        'test': ['pytest'],  # or colcon runs no test and reports success
    },
    entry_points={'console_scripts': ['lightdepth = lightdepth_ros.cli:main']},
    zip_safe=False,
)
