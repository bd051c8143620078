# make demo: from nothing to the mini recipe's report.  make test: all checks.
# One cargo profile (release) throughout, so that torch-sys's C++ is compiled once.

.PHONY: demo install wheel test bench build setup references lint docs unit recipes fuzz clean

demo: build
	recipes/run.sh mini

build: setup
	cargo build --release --bin unbraid

# Two programs are installed: `unbraid` starts at once, without libtorch, and becomes `unbraid-networks` where networks are
# needed. What `make build` makes has all commands in one, and loads libtorch for each.
LIGHT = --no-default-features --features cli,parquet --bin unbraid

# `make install PREFIX=/usr/local`, by default ~/.local. Where libtorch lies is remembered.
PREFIX ?= $(HOME)/.local

install: setup
	cargo build --profile $(PROFILE) --bin unbraid-networks
	cargo build --profile $(PROFILE) $(LIGHT)
	install -D target/$(PROFILE)/unbraid $(DESTDIR)$(PREFIX)/bin/unbraid
	install -D target/$(PROFILE)/unbraid-networks $(DESTDIR)$(PREFIX)/libexec/unbraid/unbraid-networks
	mkdir -p $(DESTDIR)$(PREFIX)/share/unbraid
	cp -r data/models $(DESTDIR)$(PREFIX)/share/unbraid/

# A wheel for pip, in target/wheels.
wheel: setup
	scripts/wheel.sh

# The profile of what is installed: `dist` takes minutes longer to build and runs faster.
PROFILE ?= release

setup:
	@scripts/setup.sh

# Reference implementations in Python. Without them, the tests that need them are named as skipped.
references:
	@scripts/references.sh

test: lint docs unit recipes fuzz

lint: setup
	cargo fmt --check
	cargo clippy --release --all-targets -- -D warnings
	cargo clippy --release --no-default-features --lib -- -D warnings
	cargo clippy --release $(LIGHT) -- -D warnings
	cargo check --release --manifest-path fuzz/Cargo.toml --target-dir target/fuzz

docs: setup
	RUSTDOCFLAGS='-D warnings' cargo doc --release --no-deps
	@scripts/book.sh target/book

unit: setup
	MAKE=$(MAKE) scripts/tests.sh

# Ratios to baselines, which scripts/references.sh fetches once (5 GB, most of it PyTorch). benches/RESULTS.md has the
# measured ones. Without the baselines, the benches that need them are skipped.
bench: setup
	@UNBRAID_BASELINES=$$(scripts/references.sh benches/baselines/requirements.txt) || unset UNBRAID_BASELINES; \
	[ -z "$$UNBRAID_BASELINES" ] || export UNBRAID_BASELINES; \
	cargo bench --profile release --bench front_ends && cargo bench --profile release --bench augmentation && \
	cargo bench --profile release --bench training && \
	cargo bench --profile release --bench speech_training && \
	cargo bench --profile release --bench scoring -- 5 && \
	cargo bench --profile release --bench command -- 5 && cargo bench --profile release --bench extraction -- 5

# A few steps of every recipe.
recipes: build
	recipes/run.sh mini --quick true
	@UNBRAID_PYTHON=$$(scripts/references.sh) || unset UNBRAID_PYTHON; \
	[ -z "$$UNBRAID_PYTHON" ] || export UNBRAID_PYTHON; \
	set -x; recipes/run.sh interoperability --exp ../mini/exp/quick/default_0 --quick true
	recipes/run.sh sprites --quick true
	@if [ -n "$$UNBRAID_CORPORA" ]; \
	then set -ex; for recipe in fsdd speechocean762; \
	do recipes/run.sh $$recipe --corpus "$$UNBRAID_CORPORA/$$recipe" --quick true; done; \
	recipes/run.sh speechocean762 --confs "full/phones_aligned pseudo_labels" --stage 1 --stop-stage 1; \
	for recipe in infogan dann; do recipes/run.sh mnist/$$recipe --corpus "$$UNBRAID_CORPORA" --quick true; done; \
	else echo 'skipped: recipes/fsdd, recipes/speechocean762, recipes/mnist: UNBRAID_CORPORA is not set' >&2; fi

# A minute per target.
fuzz:
	fuzz/run.sh 60

# What was fetched stays in the user's cache.
clean:
	rm -rf target .libtorch
