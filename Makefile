# Tidewire. `make demo` first; `make help` lists the rest.

# `make` alone says what there is.
.DEFAULT_GOAL := help
.PHONY: help demo build test lint bench soak openapi pictures

TARGET := $(or $(CARGO_TARGET_DIR),target)

help:
	@echo 'make demo    a live page with nothing to set up, on http://127.0.0.1:8080'
	@echo 'make build   the program for use: $(TARGET)/release/tidewire'
	@echo 'make test    everything that must hold before a change is taken'
	@echo 'make lint    formats, lints and types alone'
	@echo 'make soak    500 kills, 10 million inputs a decoder, ten minutes of load: about an hour'
	@echo 'make openapi holds the program to its description with 200 examples a path'
	@echo 'make pictures takes docs/pictures from the running demo: about five minutes'
	@echo 'make bench   measurements, each beside a reference in the same run'

demo:
	@scripts/need cargo cc node npm
	@scripts/page
	@echo 'Building Tidewire; the first time takes five to eight minutes on two cores.'
	@cargo build --quiet -p tidewire
	@exec $(TARGET)/debug/tidewire demo

build:
	@scripts/need cargo cc node npm
	@scripts/page
	@echo 'Building Tidewire for use; the first time takes about ten minutes on two cores.'
	cargo build --release -p tidewire
	@echo 'Built: $(TARGET)/release/tidewire'

test:
	@scripts/need cargo cc node npm python3 chromium curl prometheus promtool
	@scripts/test

lint:
	@scripts/need cargo cc node npm
	@scripts/test lint

soak:
	@scripts/need cargo cc node npm python3
	@scripts/test soak

openapi:
	@scripts/need cargo cc python3
	cargo test --locked --workspace --no-run
	@scripts/openapi/run $(TARGET)/debug/tidewire 200

bench:
	@scripts/need cargo cc node npm python3
	@bench/run

pictures:
	@scripts/need cargo cc node npm chromium
	@scripts/page
	cargo build --quiet -p tidewire
	cd web && TIDEWIRE_BIN="$(abspath $(TARGET))/debug/tidewire" node scripts/pictures.mjs
