# Every command sets up what it needs on its first run (scripts/tools.sh) and builds in release: burn is too slow otherwise.

PORT = 8080
with_env = . scripts/env.sh &&
trunk = $(with_env) trunk --config trunk.toml

.PHONY: help serve dev build test test-scale shards mutants bench doc clean page-tools

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /make \1	/p' Makefile | expand -t 18

serve: page-tools ## build the page and serve it on http://localhost:8080 (other port: make serve PORT=9000)
	$(trunk) serve --release --port $(PORT)

dev: page-tools ## the same, reloading in the browser whenever a source file changes
	$(trunk) serve --port $(PORT)

build: page-tools ## build the page into dist/, for any static host and any sub-path
	$(trunk) build --release

test: ## run every check and test; some of them: make test STAGES="fmt clippy"
	scripts/test.sh $(STAGES)

test-scale: ## try training by MPI and shards by Slurm, GNU parallel and Kubernetes; sets up their Debian packages
	scripts/scale.sh

shards: ## run a command in N shards by GNU parallel: make shards N=4 RUN="sample --count 1000 --out all.npy"
	seq $(N) | parallel --halt now,fail=1 --jobs $(or $(JOBS),100%) scorefield $(RUN) --shard '{}/$(N)'

mutants: ## count which of 60 errors, drawn at random, the tests notice (other draws: make mutants MUTANTS="--seed 2")
	@scripts/tools.sh mutants
	$(with_env) scripts/mutants.py $(MUTANTS)

bench: ## measure the networks natively and in Chromium (beside PyTorch and onnxruntime-web: make bench PEERS=1)
	scripts/bench.sh $(if $(PEERS),peers)

doc: ## build the API documentation
	$(with_env) cargo doc --release --no-deps
	@$(with_env) echo "Open $$CARGO_TARGET_DIR/doc/scorefield/index.html"

clean: ## remove dist/ and all build output, but not the tools
	rm -rf dist
	$(with_env) cargo clean

page-tools:
	@scripts/tools.sh page
