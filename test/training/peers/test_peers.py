# SPDX-License-Identifier: Apache-2.0
"""The compared networks: published sizes, the students' interface, and what they export."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from lightdepth_ros.contract import EXIT_STRIDE  # noqa: E402 - torch first
from training.model.losses import inverse_log_map  # noqa: E402
from training.peers import PEERS  # noqa: E402
from training.peers import export as exporting  # noqa: E402
from training.peers.interface import from_disparity, from_metres  # noqa: E402

pytestmark = pytest.mark.torch

PUBLISHED_M = {'pydnet': 1.97, 'nekrasov': 2.99, 'elkerdawy': 5.95, 'fastdepth': 3.96}
GMAC = {'pydnet': 4.92, 'nekrasov': 6.1, 'elkerdawy': 4.73, 'fastdepth': 0.74}
"""At the authors' input size; FastDepth's is its paper's, the others as counted elsewhere."""
STRIDES = {'pydnet': (16, 8, 4, 2), 'elkerdawy': (8, 4, 2, 1), 'nekrasov': (4,), 'fastdepth': (1,)}
SMALL_HW = (128, 256)


def conv_macs(network, image) -> float:
    """Multiply-accumulates of all convolutions, in 1e9; only sizes are worked out."""
    network, image = copy.deepcopy(network).to('meta'), image.to('meta')
    total = 0

    def add(module, inputs, output) -> None:
        nonlocal total
        kernel = module.kernel_size[0] * module.kernel_size[1]
        if isinstance(module, torch.nn.ConvTranspose2d):
            total += inputs[0].numel() * module.out_channels // module.groups * kernel
        else:
            total += output.numel() * module.in_channels // module.groups * kernel

    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, kinds)]
    with torch.no_grad():
        network.eval()(image)
    for hook in hooks:
        hook.remove()
    return total / 1e9


@pytest.fixture(params=PEERS)
def name(request) -> str:
    torch.manual_seed(0)
    return request.param


def test_parameters_are_those_published(name):
    count = sum(p.numel() for p in PEERS[name].build().parameters())
    assert count == PEERS[name].parameters
    assert count / 1e6 == pytest.approx(PUBLISHED_M[name], abs=0.005)


def test_multiply_accumulates_are_those_published(name):
    network = PEERS[name].build()
    found = conv_macs(network, torch.zeros(1, 3, *PEERS[name].input_hw))
    assert found == pytest.approx(GMAC[name], rel=0.02)


def test_outputs_are_scale_outputs_from_coarse_to_fine(name):
    height, width = SMALL_HW
    with torch.no_grad():
        outputs = PEERS[name].build().eval()(torch.rand(2, 3, height, width))
    sizes = [tuple(o.g.shape) for o in outputs]
    assert sizes == [(2, 1, height // s, width // s) for s in STRIDES[name]]
    for out in outputs:
        assert torch.isfinite(out.g).all()
        assert out.logits.shape[2:] == out.g.shape[2:]
        assert out.logits.shape[1] == (6 if name == 'nekrasov' else 0)
        assert out.log_scale is None


def test_detached_network_gives_the_same_and_computes_less(name):
    network = PEERS[name].build().eval()
    image = torch.rand(1, 3, *SMALL_HW)
    exits = ('XS', 'S', 'M', 'L')[-len(STRIDES[name]) :]
    with torch.no_grad():
        whole = network(image)
        macs = []
        for kept, exit_name in enumerate(exits, 1):
            part = network.detach(exit_name)
            assert part.exit == exit_name
            outputs = part(image)
            assert len(outputs) == kept
            torch.testing.assert_close(outputs[-1].g, whole[kept - 1].g)
            macs.append(conv_macs(part, image))
    assert macs == sorted(macs)
    assert len(set(macs)) == len(macs)


def test_exit_a_network_lacks_is_refused(name):
    for exit_name in ('XXL', *(() if len(STRIDES[name]) == 4 else ('XS',))):
        with pytest.raises(ValueError, match=exit_name):
            PEERS[name].build().detach(exit_name)


def test_gradients_reach_every_parameter(name):
    network = PEERS[name].build().train()
    outputs = network(torch.rand(2, 3, *SMALL_HW))
    sum(o.g.mean() + o.logits.sum() for o in outputs).backward()
    idle = [n for n, p in network.named_parameters() if p.grad is None]
    assert idle == []


def test_disparity_becomes_metres_by_focal_length_and_baseline():
    # 600 px * 0.54 m / (0.1 * 512 px) = 6.328 m
    out = from_disparity(torch.full((1, 1, 2, 512), 0.1))
    assert inverse_log_map(out.g)[0, 0, 0, 0].item() == pytest.approx(6.328, rel=1e-3)


def test_metres_stay_metres_and_nothing_is_not_minus_infinity():
    out = from_metres(torch.tensor([12.5, 0.0]).reshape(1, 1, 1, 2))
    assert inverse_log_map(out.g)[0, 0, 0, 0].item() == pytest.approx(12.5, rel=1e-5)
    assert torch.isfinite(out.g).all()


def test_strides_of_pydnets_exits_are_the_students():
    assert STRIDES['pydnet'] == tuple(EXIT_STRIDE[e] for e in ('XS', 'S', 'M', 'L'))


@pytest.mark.slow
@pytest.mark.parametrize('softmax', [False, True])
def test_exported_paper_network_computes_what_pytorch_does(tmp_path, softmax):
    ort = pytest.importorskip('onnxruntime')
    torch.manual_seed(0)
    network, image = exporting.PaperHeads(softmax).eval(), torch.rand(1, 3, 64, 96)
    exporting.write_onnx(network, (64, 96), tmp_path / 'paper.onnx')
    session = ort.InferenceSession(str(tmp_path / 'paper.onnx'))
    found = session.run(None, {'image': image.numpy()})
    with torch.no_grad():
        truth = network(image)
    for a, b in zip(found, truth, strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-3)
    total = found[1].sum(1)
    assert np.allclose(total, 1, atol=1e-4) == softmax


@pytest.mark.slow
def test_export_writes_every_network_and_its_facts(tmp_path, monkeypatch):
    onnx = pytest.importorskip('onnx')
    monkeypatch.setattr(exporting, 'PEERS', {'pydnet': PEERS['pydnet']})
    rows = exporting.export(tmp_path)
    assert json.loads((tmp_path / 'peers.json').read_text(encoding='utf-8')) == [
        {**row, 'input_hw': list(row['input_hw'])} for row in rows
    ]
    assert [row['name'] for row in rows] == ['paper_logits', 'paper_softmax', 'pydnet']
    for row in rows:
        shape = onnx.load(tmp_path / row['onnx']).graph.input[0].type.tensor_type.shape
        assert [d.dim_value for d in shape.dim] == [1, 3, *row['input_hw']]
