# SPDX-License-Identifier: Apache-2.0
"""A blend of two students lies between them, and is each of them at the ends."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')


from lightdepth_ros.contract import shipped_contract  # noqa: E402
from lightdepth_ros.engines import EngineRequest, load_engine  # noqa: E402
from lightdepth_ros.engines.golden import golden_image  # noqa: E402
from lightdepth_ros.errors import ConfigError  # noqa: E402
from lightdepth_ros.mount import Mount, ground_map  # noqa: E402
from training import blend, export  # noqa: E402
from training.students import STUDENTS  # noqa: E402
from training.students.interface import EXITS  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.fixture(scope='module')
def moved(tmp_path_factory):
    """The contract of the shipped student with every weight changed by a few percent."""
    folder = tmp_path_factory.mktemp('moved')
    student, contract = blend.folded_student(shipped_contract('plain', 'L'))
    torch.manual_seed(0)
    with torch.no_grad():
        for value in student.parameters():
            value.mul_(1 + 0.03 * torch.randn_like(value))
    for name in EXITS:
        export.export_exit(
            export.Trained('plain', student, contract.training), student, name, folder
        )
    return folder / 'lightdepth_plain_L.json'


def depth(path) -> np.ndarray:
    engine = load_engine(EngineRequest(path))
    image = golden_image((96, 160))
    takes = engine.contract.takes_ground
    ground = ground_map(None, Mount(0.5), (96, 160)) if takes else None
    answer = engine.run(image, ground=ground)['depth']
    engine.close()
    return np.log(answer)


def test_ends_are_the_two_students_and_the_middle_is_neither(moved, tmp_path):
    shipped = shipped_contract('plain', 'L')
    found = {}
    for share in (0.0, 0.5, 1.0):
        blend.blend(shipped, moved, share, tmp_path / str(share))
        found[share] = depth(tmp_path / str(share) / 'lightdepth_plain_L.json')
    np.testing.assert_allclose(found[1.0], depth(shipped), atol=1e-3)
    np.testing.assert_allclose(found[0.0], depth(moved), atol=1e-3)
    apart = np.abs(found[0.0] - found[1.0]).mean()
    assert apart > 0.01
    for end in (0.0, 1.0):
        assert 0.2 * apart < np.abs(found[0.5] - found[end]).mean() < 0.9 * apart


def test_the_record_names_both_files_and_the_share(moved, tmp_path):
    blend.blend(shipped_contract('plain', 'L'), moved, 0.25, tmp_path)
    _, contract = blend.folded_student(tmp_path / 'lightdepth_plain_L.json')
    assert contract.training['blend']['share_of_old'] == 0.25
    assert len(contract.training['blend']['old']) == 64


def test_other_shares_and_other_students_are_refused(moved, tmp_path):
    with pytest.raises(ConfigError, match=r'share is 1\.5'):
        blend.blend(moved, moved, 1.5, tmp_path)
    with pytest.raises(ConfigError, match='is a paper student'):
        blend.blend(shipped_contract('paper', 'L'), moved, 0.5, tmp_path)
    assert set(STUDENTS) == {'plain', 'paper'}
