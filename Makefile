# SPDX-License-Identifier: Apache-2.0
# Every target sets up what it needs in .venv and does nothing that is done already.

PYTHON ?= python3
VENV ?= .venv
OUT ?= out/demo

# Variables of another Python or ROS (a sourced setup.bash, say) would mix with the one in .venv.
CLEAN := env -u PYTHONPATH -u LD_LIBRARY_PATH -u RMW_IMPLEMENTATION -u _ROS_WHEELS_BOOTSTRAP_COMPLETE
RUN := $(CLEAN) AMENT_PREFIX_PATH='$(abspath $(VENV))' '$(VENV)/bin/python'
ENV := $(CLEAN) $(PYTHON) tools/make_env.py --venv '$(VENV)'

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench bench-train bench-node soak fuzz test-arm docs install env-all lock clean

help:
	@echo 'make demo     see it work: a drive goes through the node, results land in $(OUT)'
	@echo '                IMAGES=folder or VIDEO=file: your own; its camera: FX=pixels,'
	@echo '                FOV=degrees from left to right, or CAMERA=calibration.yaml'
	@echo '                RESOLUTION=L|M|S|XS, BACKEND=name, FRAMES=n, RATE=hz'
	@echo 'make test     everything that is tested: linters, types, fast, ros and data tests'
	@echo 'make lint     linters, types and the width of the prose'
	@echo 'make bench    how fast the shipped models run on this machine'
	@echo 'make bench-node  what the node costs beside the engine, at 30 Hz'
	@echo 'make soak     everything goes wrong for half an hour (LIGHTDEPTH_SOAK_S=seconds);'
	@echo '                REPORT=docs/reliability.md: write the report there'
	@echo 'make test-arm  the runtime without ROS on an emulated Arm CPU (Debian, qemu-user-static)'
	@echo 'make fuzz     10,000 random messages of each kind (LIGHTDEPTH_FUZZ_CASES=n)'
	@echo 'make bench-train  what training costs on this machine (about five minutes)'
	@echo 'make docs     the API reference, from the docstrings, in out/docs'
	@echo 'make install  the node and `lightdepth` into $(VENV)'
	@echo 'make lock     write requirements/constraints.txt after changing a pinned version'
	@echo 'make clean    remove what the above made, except $(VENV)'
	@echo 'PYTHON=python3.12 picks the Python of a new $(VENV) (3.10 to 3.13)'

demo:
	@$(ENV) runtime ros
	@$(RUN) -m tools.demo --out '$(OUT)' \
	  $(if $(IMAGES),--images '$(IMAGES)') $(if $(VIDEO),--video '$(VIDEO)') \
	  $(if $(FX),--fx '$(FX)') $(if $(FOV),--fov-deg '$(FOV)') $(if $(CAMERA),--camera-yaml '$(CAMERA)') \
	  $(if $(RESOLUTION),--output-resolution '$(RESOLUTION)') $(if $(BACKEND),--backend '$(BACKEND)') \
	  $(if $(MODEL),--model '$(MODEL)') $(if $(FRAMES),--frames '$(FRAMES)') $(if $(RATE),--rate '$(RATE)')

# Fast first: without ROS, network and road data. Then what talks to ROS, then what takes long
# (training in a process of its own, as it forks loaders), then what reads road data.
test: lint
	@$(RUN) -m pytest -q -m 'not ros and not data and not slow and not gpu'
	@$(RUN) -m pytest -q -m 'ros and not data and not gpu'
	@$(RUN) -m pytest -q -m 'slow and not ros and not data and not gpu' --ignore test/training
	@$(RUN) -m pytest -q -m 'slow and not ros and not data and not gpu' test/training
	@$(RUN) -m pytest -q -rs -m 'data and not gpu'

lint: env-all
	@$(RUN) -m ruff check . scripts/depth_node
	@$(RUN) -m ruff format --check . scripts/depth_node
	@$(RUN) -m mypy
	@$(RUN) -m tools.check_prose

bench:
	@$(ENV) runtime ros
	@$(RUN) -m lightdepth_ros.cli bench

bench-node:
	@$(ENV) runtime ros
	@$(RUN) -m tools.bench_node

soak:
	@$(ENV) runtime ros $(if $(REPORT),training)
	@$(RUN) -m tools.soak $(if $(REPORT),--report '$(REPORT)')

test-arm:
	@$(ENV) runtime ros
	@$(RUN) -m tools.arm

fuzz: export LIGHTDEPTH_FUZZ_CASES ?= 10000
fuzz: env-all
	@$(RUN) -m pytest -q test/stream/test_fuzz_messages.py

docs:
	@$(CLEAN) $(PYTHON) tools/make_env.py --venv '$(VENV)-docs' --no-package docs
	@$(CLEAN) '$(VENV)-docs/bin/python' tools/make_docs.py

bench-train:
	@$(ENV) runtime training
	@$(RUN) -m training.bench_train

install:
	@$(ENV) runtime ros

env-all:
	@$(ENV) runtime ros test training

lock: env-all
	@$(RUN) tools/lock_requirements.py

clean:
	rm -rf out build install log .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
