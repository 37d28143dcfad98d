# SPDX-License-Identifier: Apache-2.0
"""Models are found, checked, loaded once, and exchanged as a whole while frames keep coming."""

import dataclasses
import json
import shutil
import threading
import time

import numpy as np
import pytest
from tiny_model import make_tiny_model

from lightdepth_ros.config import NodeConfig
from lightdepth_ros.contract import shipped_contract
from lightdepth_ros.errors import ConfigError, ContractError, EngineError
from lightdepth_ros.stream.model_set import ModelSet, exit_path
from lightdepth_ros.stream.pipeline import Switcher

RGB = np.full((320, 480, 3), 40, np.uint8)
PATIENCE_S = 20.0


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('models')
    for exit_name in ('L', 'S'):
        make_tiny_model(path, exit_name, student='plain')
    return path


class Story:
    """What the switcher told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.complaints: list[str] = []

    def switcher(self, config: NodeConfig) -> Switcher:
        models = ModelSet(lambda text: None)
        return Switcher(models, config, self.told.append, self.complaints.append)

    def wait(self) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not (self.told or self.complaints) and time.monotonic() < end_s:
            time.sleep(0.01)


def output_hw(switcher: Switcher) -> tuple[int, int]:
    frame = switcher.current.perception.predict(RGB, None, ['depth'])
    return frame.prediction.depth_m.shape


def test_empty_model_means_the_shipped_one():
    config = NodeConfig(output_resolution='S')
    assert exit_path(config) == shipped_contract('plain', 'S')


def test_folder_and_file_lead_to_the_model_of_each_resolution(folder):
    for model in (folder, folder / 'lightdepth_plain_L.json', folder / 'lightdepth_plain_S.json'):
        for exit_name in ('L', 'S'):
            config = NodeConfig(model=str(model), output_resolution=exit_name)
            assert exit_path(config) == folder / f'lightdepth_plain_{exit_name}.json'


def test_file_without_the_asked_resolution_beside_it_is_refused_with_the_remedy(folder):
    config = NodeConfig(model=str(folder / 'lightdepth_plain_L.json'), output_resolution='M')
    with pytest.raises(ConfigError, match='Set output_resolution to L'):
        exit_path(config)


def test_missing_model_is_named(folder, tmp_path):
    with pytest.raises(ContractError, match=r'lightdepth_plain_M\.json'):
        ModelSet(print).perception(NodeConfig(model=str(folder), output_resolution='M'))
    with pytest.raises(ContractError, match=r'nowhere\.json'):
        ModelSet(print).perception(NodeConfig(model=str(tmp_path / 'nowhere.json')))


def test_file_whose_name_says_another_resolution_is_refused(folder, tmp_path):
    shutil.copy(folder / 'lightdepth_plain_L.json', tmp_path / 'lightdepth_plain_XS.json')
    shutil.copy(folder / 'lightdepth_plain_L.onnx', tmp_path)
    with pytest.raises(ContractError, match='is for output_resolution L, its name says XS'):
        ModelSet(print).perception(NodeConfig(model=str(tmp_path), output_resolution='XS'))


def test_engine_is_loaded_once_and_shared_by_changed_settings(folder):
    models = ModelSet(print)
    config = NodeConfig(model=str(folder))
    assert not models.loaded(config)
    first = models.perception(config)
    assert models.loaded(config)
    second = models.perception(dataclasses.replace(config, depth_scale=2.0))
    assert first.engine is second.engine
    depths = [p.predict(RGB, None, ['depth']).prediction.depth_m[0, 0] for p in (first, second)]
    assert depths[1] == pytest.approx(2 * depths[0])
    models.close()
    assert not models.loaded(config)


def test_resolution_changes_while_the_old_one_keeps_running(folder):
    story = Story()
    config = NodeConfig(model=str(folder))
    switcher = story.switcher(config)
    assert output_hw(switcher) == (160, 240)
    switcher.change(dataclasses.replace(config, output_resolution='S'))
    assert output_hw(switcher) in [(160, 240), (40, 60)]
    story.wait()
    assert output_hw(switcher) == (40, 60)
    assert story.told == ['output_resolution L -> S: as set']
    switcher.change(config)
    assert output_hw(switcher) == (160, 240)  # still loaded, so at once
    switcher.close()


def test_the_last_of_many_quick_changes_wins(folder):
    story = Story()
    config = NodeConfig(model=str(folder))
    switcher = story.switcher(config)
    small = dataclasses.replace(config, output_resolution='S', depth_scale=3.0)
    switcher.change(dataclasses.replace(small, depth_scale=2.0))
    switcher.change(small)
    story.wait()
    assert switcher.current.config == small
    switcher.close()


def test_change_to_a_missing_model_is_refused_and_changes_nothing(folder):
    story = Story()
    config = NodeConfig(model=str(folder))
    switcher = story.switcher(config)
    with pytest.raises(ContractError, match=r'lightdepth_plain_XS\.json'):
        switcher.change(dataclasses.replace(config, output_resolution='XS'))
    assert switcher.current.config == config
    assert output_hw(switcher) == (160, 240)
    switcher.close()


def test_facts_name_what_really_runs(folder):
    switcher = Story().switcher(NodeConfig(model=str(folder), fit='adapt'))
    facts = switcher.current.facts
    assert facts['backend'] == 'onnxruntime'
    assert facts['device'] == 'CPU'
    assert facts['output'] == 'about 240x160'
    assert facts['precision'] == 'fp32'
    switcher.close()


def test_facts_tell_a_quantised_model_from_the_one_it_was_made_of(folder, tmp_path):
    for file in folder.glob('lightdepth_plain_L.*'):
        shutil.copy(file, tmp_path)
    path = tmp_path / 'lightdepth_plain_L.json'
    contract = json.loads(path.read_text(encoding='utf-8'))
    contract['training'] = {'precision': 'int8'}
    path.write_text(json.dumps(contract), encoding='utf-8')
    switcher = Story().switcher(NodeConfig(model=str(path)))
    assert switcher.current.facts['precision'] == 'int8 with fp32'
    switcher.close()


def test_auto_loads_every_resolution_there_is_and_starts_with_the_finest(folder):
    switcher = Story().switcher(NodeConfig(model=str(folder), output_resolution='auto'))
    assert output_hw(switcher) == (160, 240)
    switcher.close()


def test_auto_steps_down_when_late_and_up_when_quiet_and_tells_why(folder):
    story = Story()
    config = NodeConfig(model=str(folder), output_resolution='auto', max_latency_ms=50.0)
    switcher = story.switcher(config)
    for i in range(60):
        switcher.observe(80.0, i / 30)
    assert output_hw(switcher) == (40, 60)
    assert story.told == ['output_resolution L -> S: median latency 80 ms, above 50 ms']
    for i in range(60, 400):
        switcher.observe(10.0, i / 30)
    assert output_hw(switcher) == (160, 240)
    switcher.close()


def test_changed_settings_keep_what_auto_has_found_and_a_changed_limit_does_not(folder):
    config = NodeConfig(model=str(folder), output_resolution='auto', max_latency_ms=50.0)
    switcher = Story().switcher(config)
    for i in range(60):
        switcher.observe(80.0, i / 30)
    switcher.change(dataclasses.replace(config, depth_scale=2.0))
    assert output_hw(switcher) == (40, 60)
    switcher.change(dataclasses.replace(config, max_latency_ms=100.0))
    assert output_hw(switcher) == (160, 240)
    switcher.change(dataclasses.replace(config, output_resolution='S'))
    switcher.observe(1.0, 100.0)
    assert output_hw(switcher) == (40, 60)
    switcher.close()


def test_auto_with_a_single_model_is_refused(tmp_path):
    path = make_tiny_model(tmp_path, 'M', student='plain')
    with pytest.raises(ConfigError, match='at least two resolutions; found: M'):
        Story().switcher(NodeConfig(model=str(path), output_resolution='auto'))


def test_freed_models_are_not_loaded_again(folder):
    story = Story()
    config = NodeConfig(model=str(folder))
    switcher = story.switcher(config)
    models = switcher._models
    switcher.close()
    with pytest.raises(EngineError, match='freed'):
        models.perception(config)


def loading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == 'loading']


def test_a_model_that_comes_too_late_for_a_freed_node_is_no_error(folder, monkeypatch):
    """Found by the soak: the loading thread died of it, with a traceback."""
    uncaught: list = []
    monkeypatch.setattr(threading, 'excepthook', uncaught.append)
    story = Story()
    config = NodeConfig(model=str(folder))
    switcher = story.switcher(config)
    loaded, freed = threading.Event(), threading.Event()
    get_ready = switcher._get_ready

    def slowly(config: NodeConfig, names: list[str]) -> None:
        get_ready(config, names)
        loaded.set()
        assert freed.wait(PATIENCE_S)

    monkeypatch.setattr(switcher, '_get_ready', slowly)
    switcher.change(dataclasses.replace(config, output_resolution='S'))
    assert loaded.wait(PATIENCE_S)
    switcher.close()
    freed.set()
    for thread in loading_threads():
        thread.join(PATIENCE_S)
    assert (uncaught, story.told, story.complaints) == ([], [], [])


def test_freeing_the_models_does_not_wait_for_one_that_is_being_loaded(folder, monkeypatch):
    """One SIGINT in the middle of a change of resolution took seconds on a busy machine."""
    story = Story()
    config = NodeConfig(model=str(folder))
    switcher = story.switcher(config)
    load = switcher._models._load
    begun, may_end, loaded = threading.Event(), threading.Event(), []

    def slowly(config: NodeConfig):
        begun.set()
        assert may_end.wait(PATIENCE_S)
        loaded.append(load(config))
        return loaded[0]

    monkeypatch.setattr(switcher._models, '_load', slowly)
    switcher.change(dataclasses.replace(config, output_resolution='S'))
    assert begun.wait(PATIENCE_S)
    closing = threading.Thread(target=switcher.close)
    closing.start()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    may_end.set()
    for thread in loading_threads():
        thread.join(PATIENCE_S)
    with pytest.raises(EngineError, match='closed'):  # the late one was freed as well
        loaded[0].run(np.zeros((1, 320, 480, 3), np.uint8))
    assert story.complaints == []


def test_a_setting_is_changed_at_once_while_another_model_is_being_loaded(folder):
    """Found by the soak: a parameter was answered a minute later, and no image came meanwhile."""
    story = Story()
    config = NodeConfig(model=str(folder))
    switcher = story.switcher(config)
    changed = dataclasses.replace(config, depth_scale=2.0)
    with switcher._models._loading:  # somebody is loading
        thread = threading.Thread(target=switcher.change, args=(changed,), daemon=True)
        thread.start()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert switcher.current.config == changed
    switcher.close()
