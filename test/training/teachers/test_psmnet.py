# SPDX-License-Identifier: Apache-2.0
"""PSMNet: structure and arithmetic with random weights; with `data`, the published weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from lightdepth_ros.errors import ConfigError, DataError  # noqa: E402
from lightdepth_ros.perception.occlusion import hidden_returns  # noqa: E402
from training.datasets.catalog import default_root, open_dataset  # noqa: E402
from training.datasets.sample import Sample  # noqa: E402
from training.teachers import fetch_psmnet, psmnet_network  # noqa: E402
from training.teachers.psmnet import (  # noqa: E402
    PSMNetOptions,
    PSMNetTeacher,
    default_weights,
    enlarge,
    load_network,
    pick_device,
    tiles,
)
from training.teachers.psmnet_disparity import (  # noqa: E402
    disparity_distribution,
    mean_and_mass,
    summarise,
)
from training.teachers.psmnet_network import MAX_DISPARITY, PSMNet, cost_volume  # noqa: E402
from training.teachers.teacher import open_teacher  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope='module')
def network() -> PSMNet:
    torch.manual_seed(0)
    return PSMNet().eval()


def wrapped(network: PSMNet) -> dict:
    """The state dict as the authors save it: DataParallel's prefix, before batch counters."""
    state = network.state_dict()
    return {f'module.{k}': v for k, v in state.items() if not k.endswith('num_batches_tracked')}


def test_it_has_the_published_number_of_parameters(network):
    assert sum(p.numel() for p in network.parameters()) == 5_224_768


def test_state_dict_has_the_published_names_and_shapes(network):
    shapes = {k: tuple(v.shape) for k, v in wrapped(network).items()}
    assert len(shapes) == 429
    expected = {
        'module.feature_extraction.firstconv.4.0.weight': (32, 32, 3, 3),
        'module.feature_extraction.layer2.0.downsample.0.weight': (64, 32, 1, 1),
        'module.feature_extraction.layer2.15.conv1.0.1.running_var': (64,),
        'module.feature_extraction.branch1.1.0.weight': (32, 128, 1, 1),
        'module.feature_extraction.lastconv.0.0.weight': (128, 320, 3, 3),
        'module.feature_extraction.lastconv.2.weight': (32, 128, 1, 1),
        'module.dres0.0.0.weight': (32, 64, 3, 3, 3),
        'module.dres1.2.1.bias': (32,),
        'module.dres4.conv5.0.weight': (64, 64, 3, 3, 3),
        'module.dres2.conv6.0.weight': (64, 32, 3, 3, 3),
        'module.classif3.2.weight': (1, 32, 3, 3, 3),
    }
    assert {name: shapes.get(name) for name in expected} == expected


def test_a_wrapped_state_dict_loads_strictly(network, tmp_path):
    torch.save({'state_dict': wrapped(network), 'epoch': 1}, tmp_path / 'net.tar')
    loaded = load_network(tmp_path / 'net.tar').state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded[name], tensor), name


@pytest.mark.parametrize('damage', ['missing key', 'extra key', 'cut off', 'not a dict', 'text'])
def test_wrong_weights_are_refused_by_name(damage, network, tmp_path):
    path = tmp_path / 'net.tar'
    state = wrapped(network)
    if damage == 'missing key':
        state.pop('module.classif3.2.weight')
    if damage == 'extra key':
        state['module.more'] = torch.zeros(1)
    torch.save({'state_dict': state} if damage != 'not a dict' else [1, 2], path)
    if damage == 'cut off':
        path.write_bytes(path.read_bytes()[:100_000])
    if damage == 'text':
        path.write_text('version https://example')
    with pytest.raises(DataError, match=r'net\.tar holds no PSMNet'):
        load_network(path)


def test_missing_weights_name_the_command_that_fetches_them(tmp_path):
    with pytest.raises(DataError, match=r'training\.teachers\.fetch_psmnet'):
        open_teacher(f'psmnet:{tmp_path / "none.tar"}')


def test_cost_volume_pairs_each_pixel_with_the_one_d_columns_to_its_left():
    left = torch.arange(1, 7, dtype=torch.float32).reshape(1, 1, 1, 6)
    right = 10 * left
    volume = cost_volume(left, right, 3)
    assert volume.shape == (1, 2, 3, 1, 6)
    np.testing.assert_array_equal(volume[0, 0, 2, 0], [0, 0, 3, 4, 5, 6])
    np.testing.assert_array_equal(volume[0, 1, 2, 0], [0, 0, 10, 20, 30, 40])


def test_summary_by_rows_equals_the_whole_distribution():
    torch.manual_seed(2)
    score = 4 * torch.randn(1, 1, 48, 9, 8)
    disparity, confidence = summarise(score, (36, 32), rows=7)
    mean, mass = mean_and_mass(disparity_distribution(score, (36, 32))[0])
    np.testing.assert_allclose(disparity, mean, atol=1e-2)
    np.testing.assert_allclose(confidence, 255 * mass, atol=0.6)


def test_confidence_is_the_chance_of_depth_within_a_factor():
    chances = torch.zeros(MAX_DISPARITY, 1, 2)
    chances[40, 0, 0] = 1.0  # sure
    chances[20, 0, 1] = chances[80, 0, 1] = 0.5  # mean 50, and nothing within 40..62.5
    mean, mass = mean_and_mass(chances)
    np.testing.assert_allclose(mean, [[40, 50]], atol=1e-4)
    np.testing.assert_allclose(mass, [[1, 0]], atol=1e-4)


def test_tiles_cover_every_column_once_with_room_for_the_match():
    for width, tile_px in ((1242, 624), (1242, 512), (500, 512), (513, 512), (2048, 800)):
        parts = list(tiles(width, tile_px))
        kept = [c for t in parts for c in range(t.keep, t.keep_end)]
        assert kept == list(range(width))
        for t in parts:
            assert t.end - t.start <= max(tile_px, 0) or len(parts) == 1
            assert t.start == 0 or t.keep - t.start >= MAX_DISPARITY + 64
            assert t.end == width or t.end - t.keep_end == 64


def test_image_is_padded_above_and_to_the_right_and_normalised(network):
    teacher = PSMNetTeacher(network, '', PSMNetOptions(device='cpu'))
    image = np.full((260, 300, 3), 255, np.uint8)
    tensor = teacher.prepare(image)
    assert tuple(tensor.shape) == (1, 3, 272, 304)
    assert not tensor[..., :12, :].any()
    assert not tensor[..., 300:].any()
    np.testing.assert_allclose(tensor[0, :, 12, 0], [2.2489, 2.4286, 2.64], atol=1e-3)


class Peak(torch.nn.Module):
    """Stands in for the network: sees `disparity` px everywhere, with a step at mid-width."""

    def __init__(self, disparity: int, right_half: int) -> None:
        super().__init__()
        self.planes = (disparity, right_half)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        assert left.shape == right.shape
        assert all(side % 16 == 0 and side >= 256 for side in left.shape[-2:])
        score = torch.zeros(1, 1, 48, left.shape[-2] // 4, left.shape[-1] // 4)
        bright = left[0, 0, ::4, ::4] > 0
        for plane, where in zip(self.planes, (~bright, bright), strict=True):
            score[0, 0, plane // 4][where] = 200.0
        return score


@pytest.mark.slow
@pytest.mark.parametrize('options', [{}, {'tile_px': 576}, {'scale': 0.5}])
def test_teacher_puts_every_column_where_it_belongs(options):
    left = np.zeros((60, 900, 3), np.uint8)
    left[:, 600:] = 255
    teacher = PSMNetTeacher(Peak(40, 80), '', PSMNetOptions(device='cpu', **options))
    disparity, confidence = teacher.disparity(left, left)
    assert disparity.shape == confidence.shape == (60, 900)
    size = 1 / options.get('scale', 1)
    np.testing.assert_allclose(disparity[8:, 8:580], 40.6 * size, atol=0.5 * size)
    np.testing.assert_allclose(disparity[8:, 620:840], 81.3 * size, atol=0.5 * size)


@pytest.mark.slow
def test_network_scores_a_quarter_of_each_side(network, monkeypatch):
    monkeypatch.setattr(psmnet_network, 'MAX_DISPARITY', 16)
    torch.manual_seed(1)
    images = torch.randn(2, 1, 3, 256, 272)
    with torch.inference_mode():
        score = network(*images)
    assert score.shape == (1, 1, 4, 64, 68)
    assert torch.isfinite(score).all()


def test_enlarging_keeps_edges_and_smooths_surfaces():
    small = np.tile(np.arange(10, 14, dtype=np.float32), (6, 2))
    small[:, 4:] += 40
    large = enlarge(small, (12, 16))
    assert not ((large > 14) & (large < 50)).any()
    assert large.shape == (12, 16)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'scale': '2'}, 'scale is'),
        ({'tile_px': '100'}, 'at least 576'),
        ({'precision': 'int4'}, 'fp32, bf16'),
    ],
)
def test_wrong_options_are_refused(options, words, tmp_path, network):
    torch.save({'state_dict': wrapped(network)}, tmp_path / 'net.tar')
    with pytest.raises(ConfigError, match=words):
        open_teacher(f'psmnet:{tmp_path / "net.tar"}', options)


def test_a_gpu_that_is_not_there_is_an_error():
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    assert pick_device('auto').type == 'cpu'
    with pytest.raises(ConfigError, match='sees no GPU'):
        pick_device('cuda')
    with pytest.raises(ConfigError, match='write cpu, cuda'):
        pick_device('toaster')


def test_a_right_file_is_not_fetched_again(tmp_path, monkeypatch):
    path = tmp_path / 'net.tar'
    path.write_bytes(b'weights')
    monkeypatch.setattr(fetch_psmnet, 'WEIGHTS_SHA256', fetch_psmnet.file_sha256(path))
    monkeypatch.setattr(fetch_psmnet, 'download', lambda folder: pytest.fail('fetched'))
    assert fetch_psmnet.fetch(path) == path


@pytest.fixture(scope='module')
def published() -> PSMNetTeacher:
    """The KITTI 2015 weights, fetched once to the cache folder."""
    try:
        fetch_psmnet.fetch(default_weights())
    except DataError as error:
        pytest.skip(f'the PSMNet weights cannot be fetched: {error}')
    return open_teacher('psmnet', {'device': 'auto', 'tile_px': '624'})


@pytest.fixture(scope='module')
def lidar_pair() -> Sample:
    if not (default_root() / 'kitti' / 'stereo').is_dir():
        pytest.skip('no road data: set LIGHTDEPTH_DATA or put it at ../shared/data')
    dataset = open_dataset('kitti-stereo')
    return next(s for s in map(dataset.__getitem__, range(len(dataset))) if s.depth_m is not None)


@pytest.mark.data
@pytest.mark.slow
def test_published_weights_see_kitti_within_three_pixels(published, lidar_pair):
    output = published(lidar_pair)
    truth = lidar_pair.depth_m
    visible = (truth > 0) & ~hidden_returns(truth, lidar_pair.camera.fx)
    assert (output.depth_m[visible] > 0).all()
    focal_baseline = lidar_pair.camera.fx * lidar_pair.baseline_m
    error_px = focal_baseline * np.abs(1 / output.depth_m[visible] - 1 / truth[visible])
    assert (error_px < 3).mean() >= 0.95
    assert np.median(error_px) < 0.5
    ratio = output.depth_m[visible] / truth[visible]
    right = np.abs(np.log(ratio)) < np.log(1.25)
    sure = output.confidence[visible] >= 250
    assert right[sure].mean() > 0.99 > right[~sure].mean()
