# SPDX-License-Identifier: Apache-2.0
"""What a CPU computes fast in, read from what the kernel says of it."""

from __future__ import annotations

import platform

import pytest

from lightdepth_ros.engines import cpu

ZEN4 = 'processor : 0\nmodel name : AMD EPYC\nflags : fpu avx2 avx512f avx512_vnni avx512_bf16\n'
ZEN3 = 'processor : 0\nmodel name : AMD EPYC 7763\nflags : fpu avx2 fma\n'
PI5 = 'processor : 0\nFeatures : fp asimd asimdhp asimddp\nCPU part : 0xd0b\n'
PI4 = 'processor : 0\nFeatures : fp asimd crc32\nCPU part : 0xd08\n'


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that makes this a machine of the given /proc/cpuinfo and cap."""

    def become(cpuinfo, cap=''):
        path = tmp_path / 'cpuinfo'
        path.write_text(cpuinfo, encoding='utf-8')
        monkeypatch.setattr(cpu, 'CPUINFO', path)
        monkeypatch.setenv(cpu.CAP, cap)

    return become


@pytest.mark.parametrize(
    ('cpuinfo', 'cap', 'expected'),
    [
        (ZEN4, '', 'AVX-512 VNNI'),
        (ZEN4, 'AVX512_CORE_VNNI', 'AVX-512 VNNI'),
        (ZEN4, 'avx512_core', ''),
        (ZEN4, 'AVX2', ''),
        (ZEN3, '', ''),
        (PI5, '', 'Armv8.2'),
        (PI4, '', ''),
        ('flags : avx2 avx_vnni\n', '', 'AVX-VNNI'),
        ('', '', ''),
    ],
)
def test_8_bit_dot_product_is_read_from_the_first_core_and_can_be_capped(
    machine, cpuinfo, cap, expected
):
    machine(cpuinfo, cap)
    assert cpu.dot_product() == expected


def test_summary_names_the_cpu_its_cap_and_what_int8_means(machine):
    machine(ZEN4)
    assert cpu.summary() == (
        'AMD EPYC: AVX-512 VNNI 8-bit dot product; model int8 means the 8-bit models'
    )
    machine(ZEN4, 'AVX2')
    assert cpu.summary() == (
        'AMD EPYC, capped at AVX2 by ONEDNN_MAX_CPU_ISA: no 8-bit dot product; '
        'model int8 means the float32 models: 8 bits gain too little'
    )


def test_without_cpuinfo_the_name_is_the_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(cpu, 'CPUINFO', tmp_path / 'none')
    monkeypatch.setattr(platform, 'machine', lambda: 'riscv64')
    assert cpu.name() == 'riscv64'
    assert cpu.dot_product() == ''


def test_bf16_is_refused_where_openvino_may_not_use_it(monkeypatch):
    pytest.importorskip('openvino')
    from lightdepth_ros.engines import probe
    from lightdepth_ros.errors import EngineError

    monkeypatch.setenv(cpu.CAP, 'AVX2')
    with pytest.raises(EngineError, match='Set precision to auto or fp32'):
        probe('openvino', 'bf16')
