# SPDX-License-Identifier: Apache-2.0
"""The endless stream of training crops: item k is always the same.

Every random choice of item k comes from a generator seeded with (seed, k). That makes resuming
exact (start at the step that was saved) and sharding trivial (rank r takes its own items).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.progress import track
from torch.utils.data import Dataset, Sampler

from lightdepth_ros.camera import Camera
from lightdepth_ros.errors import DataError
from lightdepth_ros.mount import MAP_STRIDE, Mount, ground_map, height_factor
from training.config import TrainConfig
from training.crops import augment, pose, props, seam, sidestep, truth
from training.crops import paste as pasting
from training.datasets.catalog import open_dataset
from training.datasets.sample import Dataset as SampleSource
from training.datasets.sample import Sample

MAX_IN_MEMORY = 2000
"""Samples per source that are decoded into memory at the start (about 5 MB each for KITTI)."""
STYLES_A_SOURCE = 64
TWIN_ROOM_PX = 16
"""Twins (two windows of one view) lie at most so many pixels apart: one cell of stride 16."""


class CropStream(Dataset):
    """Crops drawn from several sources by weight."""

    def __init__(self, sources: dict[str, Sequence[Sample]], config: TrainConfig) -> None:
        self.sources = sources
        self.config = config
        self.names = list(config.source_weights())
        missing = [n for n in self.names if not len(sources.get(n, ()))]
        if missing:
            raise DataError(
                f'no samples for source {", ".join(missing)}; have {", ".join(sources)}'
            )
        self.crop_sizes = config.crop_sizes()
        self.shares = shares(sources, config)
        self.bank = pasting.collect(sources) if config.paste else []
        if config.paste and config.props:
            rng = np.random.default_rng([config.seed, 2])
            self.bank += props.among(rng, len(self.bank), config.props)
        self.styles = styles(sources) if config.restyle else []
        self.global_batch = config.batch_size * config.devices * config.nodes

    def __getitem__(self, index: int) -> truth.Example:
        config = self.config
        place = index % config.batch_size
        twin = place < 2 * config.twin_pairs()
        rng = np.random.default_rng([config.seed, index - place % 2 if twin else index])
        batch_rng = np.random.default_rng([config.seed, index // self.global_batch, 1])
        size = int(batch_rng.integers(len(self.crop_sizes)))
        room = TWIN_ROOM_PX if twin else 0
        example = self.view(rng, size, room)
        if rng.random() < config.seam:
            example = seam.join(rng, example, self.view(rng, size, room))
        pasting.paste(rng, example, self.bank, config)
        truth.finish(example, config)
        if rng.random() < config.restyle:
            style = self.styles[int(rng.integers(len(self.styles)))]
            example['image'] = augment.restyle(rng, example['image'], style)
        example['image'] = augment.photometric(rng, example['image'], config.photometric)
        shift = twin_shift(rng) if twin and place % 2 else (0, 0)
        return ready(example, self.crop_sizes[size], shift)

    def view(self, rng: np.random.Generator, size: int, room: int = 0) -> truth.Example:
        """Draw a sample that fills the crop size of that number, and a view of it.

        Now and then it is seen from further left or right. room: pixels more, right and below.
        """
        config, hw = self.config, self.crop_sizes[size]
        hw = (hw[0] + room, hw[1] + room)
        source = self.sources[self.names[rng.choice(len(self.names), p=self.shares[size])]]
        sample = source[int(rng.integers(len(source)))]
        focal = (config.focal_min_px, config.focal_max_px)
        mirror = config.mirror if sample.trust == 1 else 0.5
        view = augment.draw_view(
            rng, sample, hw, focal, config.rotation_deg, config.vertical_jitter, mirror
        )
        camera, mount = pose.of_view(sample, view)
        mount = pose.uncertain(rng, mount, config.mount_known, config.mount_noise_deg)
        if not config.sidestep_m or rng.random() < 0.5:
            example = truth.crop(sample, view, config)
        else:
            wide = truth.crop(sample, sidestep.widened(view), config)
            step_m = rng.uniform(-config.sidestep_m, config.sidestep_m)
            example = sidestep.narrowed(sidestep.sidestep(wide, step_m))
        example['factor'] = np.full(hw, height_factor(mount), np.float32)
        example['ground'] = full_ground_map(camera, mount, hw)
        return example


def full_ground_map(camera: Camera | None, mount: Mount | None, hw: tuple[int, int]) -> np.ndarray:
    """Return the ground map of a crop of any size at every pixel: (h, w, 4) float32.

    It is cut and joined with the picture; `ready` reads it at the middles of its cells.
    """
    return ground_map(camera, mount, hw, stride=1)[0].transpose(1, 2, 0)


def ready(example: truth.Example, hw: tuple[int, int], shift: tuple[int, int]) -> truth.Example:
    """Cut the window of `hw` pixels at `shift` (rows, columns) and bring the ground map to cells.

    Adds 'shift' (2,) float32.
    """
    window = np.s_[shift[0] : shift[0] + hw[0], shift[1] : shift[1] + hw[1]]
    cut = {k: v[window] if isinstance(v, np.ndarray) else v for k, v in example.items()}
    ground, half = np.asarray(cut['ground']), MAP_STRIDE // 2
    four = [
        ground[y::MAP_STRIDE, x::MAP_STRIDE] for y in (half - 1, half) for x in (half - 1, half)
    ]
    cut['ground'] = (sum(four) / np.float32(4)).transpose(2, 0, 1)
    cut['shift'] = np.array(shift, np.float32)
    return {k: np.ascontiguousarray(v) if isinstance(v, np.ndarray) else v for k, v in cut.items()}


def twin_shift(rng: np.random.Generator) -> tuple[int, int]:
    """Draw by how many pixels (rows, columns) the second twin's window lies aside."""
    down, right = rng.integers(0, TWIN_ROOM_PX + 1, 2)
    return int(down), int(right)


def shares(sources: Mapping[str, Sequence[Sample]], config: TrainConfig) -> np.ndarray:
    """Return each source's share of the crops of each size: (sizes, sources) float64, rows sum 1.

    A crop size is not for sources whose pictures (judged by the first) are too small or too narrow
    for it; one whose pictures fill no size at all takes part in every size.
    """
    focal, sizes = (config.focal_min_px, config.focal_max_px), config.crop_sizes()
    names, weight = zip(*config.source_weights().items(), strict=True)
    weights = np.array(weight)[:, None]
    filling = np.array([[augment.fills(sources[n][0], hw, focal) for hw in sizes] for n in names])
    filling[~filling.any(axis=1)] = True
    filling[:, ~(filling * weights).any(axis=0)] = True
    wanted = (filling * weights).T
    return wanted / wanted.sum(axis=1, keepdims=True)


def styles(sources: dict[str, Sequence[Sample]]) -> list[np.ndarray]:
    """Return the styles of some pictures of each source: as many of one as of another."""
    found = []
    for samples in sources.values():
        picks = np.linspace(0, len(samples) - 1, STYLES_A_SOURCE).astype(int)
        found += [augment.style_of(samples[int(k)].rgb) for k in picks]
    return found


class StreamSampler(Sampler[list[int]]):
    """Batches of item numbers for one rank, from `first_step` to the last step.

    Its length is that of the whole run: on resuming, Lightning counts the batches before
    `first_step` as done already.
    """

    def __init__(self, config: TrainConfig, first_step: int, rank: int, world: int) -> None:
        self.config, self.first_step, self.rank, self.world = config, first_step, rank, world

    def __len__(self) -> int:
        return self.config.steps

    def __iter__(self) -> Iterator[list[int]]:
        size = self.config.batch_size
        for step in range(self.first_step, self.config.steps):
            start = (step * self.world + self.rank) * size
            yield list(range(start, start + size))


class InMemory(Sequence[Sample]):
    """All samples of a data set, decoded once. Forked loader processes share the pages."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = list(samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        return self.samples[index]


class OnDisk(Sequence[Sample]):
    """A data set too large for memory: every sample is read when it is drawn."""

    def __init__(self, dataset: SampleSource, depth_truth: str) -> None:
        self.dataset, self.depth_truth = dataset, depth_truth

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override]
        return truth.clean(self.dataset[index], self.depth_truth)


class Subset:
    """Some samples of a data set."""

    def __init__(self, dataset: SampleSource, indices: Sequence[int]) -> None:
        self.dataset, self.indices, self.name = dataset, indices, dataset.name

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[self.indices[index]]


def evenly(dataset: SampleSource, share: float) -> SampleSource:
    """Return that share of a data set, evenly spread over it; at least one sample."""
    if share == 1 or not len(dataset):
        return dataset
    count = max(1, round(share * len(dataset)))
    return Subset(dataset, [k * len(dataset) // count for k in range(count)])


def load_sources(config: TrainConfig, root: Path | None) -> dict[str, Sequence[Sample]]:
    """Open every source of the configuration; decode into memory those small enough."""
    sources: dict[str, Sequence[Sample]] = {}
    for name in config.source_weights():
        dataset = evenly(open_dataset(name, root), config.image_share)
        if len(dataset) > MAX_IN_MEMORY:
            sources[name] = OnDisk(dataset, config.depth_truth)
            continue
        indices = track(range(len(dataset)), description=f'reading {name}')
        sources[name] = InMemory([truth.clean(dataset[i], config.depth_truth) for i in indices])
    return sources
