# make demo        the whole way on rendered photos
# make test        formatting, types, layers and tests
# make test-LAYER  the tests of one layer: devices, edge_runtime, train, convert or packaging
# make test-fuzz   thousands of bundles with a changed file, and requests that Schemathesis makes
# make test-arithmetic  the tests that compute, with four kinds of float arithmetic, one after the other
# make test-soak   200,000 frames through linnet serve, with a broker, metrics and an open page; ten minutes or more
# make soak        the same for a million frames; an hour or more
# make test-newest the fast tests with the newest releases of all packages; it names what breaks, and does not fail
# make test-vendors vendors' own compilers and simulators, each installed into an environment of its own
# make docs        the documentation's site, site/index.html
# make test-arm64  tests of the runtime and the devices on arm64, emulated
# make test-v4l2   V4L2 cameras with the kernel's driver vivid, in an emulated machine
# make test-picamera2  picamera2:// with the real picamera2 and libcamera, on libcamera's virtual camera; as root
# Each makes .venv itself; all it needs is python3 with venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

LAYERS := devices edge_runtime train convert packaging

# TensorFlow and OpenVINO compute with oneDNN, which takes the instructions that a processor has: as it is here, those of
# other processors, and TensorFlow without it. Roundings then differ, and no test may hang on one.
ARITHMETIC := as-it-is ONEDNN_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=SSE41 TF_ENABLE_ONEDNN_OPTS=0
# Only TensorFlow and OpenVINO use it: of the runtime's tests, those that run a bundle of all engines.
RUNNING := $(addprefix tests/edge_runtime/,failover proof/test_swapped_models.py proof/test_verification.py \
	test_classifier.py test_command_bench.py test_command_classify.py test_command_run.py)
COMPUTING := $(addprefix tests/,devices train convert) $(RUNNING)

.PHONY: demo test $(LAYERS:%=test-%) test-arithmetic test-newest test-vendors test-fuzz test-soak soak docs test-arm64 test-picamera2 test-v4l2 clean

demo: $(VENV)/.installed
	$(BIN)/linnet demo --out demo --overwrite

test: $(VENV)/.installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto --dist loadfile

$(LAYERS:%=test-%): test-%: $(VENV)/.installed
	$(BIN)/pytest --numprocesses auto --dist loadfile tests/$*

test-fuzz: $(VENV)/.installed
	$(BIN)/pytest -m fuzz tests/edge_runtime/test_fuzz.py tests/edge_runtime/test_serve_fuzz.py

test-arithmetic: $(VENV)/.installed
	@status=0; for setting in $(ARITHMETIC); do \
		echo "arithmetic: $$setting"; \
		env $$(echo $$setting | grep =) $(BIN)/pytest --numprocesses auto --dist loadfile $(COMPUTING) || status=1; \
	done; exit $$status

test-newest: $(VENV)/.installed
	tests/newest/run

test-soak: $(VENV)/.installed
	$(BIN)/pytest -m soak tests/edge_runtime/test_soak.py

test-vendors: $(VENV)/.installed
	$(BIN)/pytest -m "vendors and not large" tests/vendors

soak: $(VENV)/.installed
	[ -d demo/parts.linnet ] || $(BIN)/linnet demo --out demo
	$(BIN)/python benchmarks/soak.py demo/parts.linnet

docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Open site/index.html"

test-arm64: $(VENV)/.installed
	tests/arm64/run

test-v4l2: $(VENV)/.installed
	tests/v4l2_guest/run

test-picamera2: $(VENV)/.installed
	tests/virtual_camera/run

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "error: $(PYTHON) is not Python 3.11 to 3.13. Fix: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "error: $(PYTHON) has no venv. Fix: sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) demo dist site
