# Everything is built without xDS and Envoy, which only Google Cloud Storage over
# gRPC needs: 136 packages and 19 MB less (docs/adr/0001-embedded-temporal.md).
TAGS  := disable_grpc_modules
export GOFLAGS := $(strip $(shell go env GOFLAGS) -tags=$(TAGS))
BIN   := bin
ARGS  ?=
KINDS ?= asg mig run

# Versions of the tools, which do not touch go.mod.
STATICCHECK   := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
WORKFLOWCHECK := go run go.temporal.io/sdk/contrib/tools/workflowcheck@v0.6.0

# Packages that link the Temporal server are tested without the race detector:
# building the server with it takes longer than everything else together.
SERVER_PACKAGES := ./cmd/... ./workflows/embedded ./internal/bench ./internal/footprint/server
RACE_PACKAGES    = $(filter-out $(shell go list $(SERVER_PACKAGES)),$(shell go list ./...))

.PHONY: build
build: ## build bin/slipwayd
	@mkdir -p $(BIN)
	go build -ldflags "-s -w" -o $(BIN)/slipwayd ./cmd/slipwayd

.PHONY: run
run: build ## build and start against simulated clouds; ARGS= passes flags on
	./$(BIN)/slipwayd --simulate $(ARGS)

.PHONY: test
test: ## run all tests
	go test -timeout 60m ./...

.PHONY: check
check: format vet static workflows race ## everything but the slow tests

.PHONY: format
format:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$unformatted" ]; then echo "not formatted by gofmt:"; echo "$$unformatted"; exit 1; fi

.PHONY: vet
vet:
	go vet ./...

.PHONY: static
static:
	$(STATICCHECK) ./...

.PHONY: workflows
workflows: ## workflow code must be deterministic
	$(WORKFLOWCHECK) ./workflows

.PHONY: race
race: ## tests with the race detector; the import rules (internal/layers) are among them
	go test -race -short -timeout 30m $(RACE_PACKAGES)

.PHONY: demo-rolling
demo-rolling: ## a rolling deploy of 12 instances under 200 requests a second
	go test -count=1 -v -run 'TestLiveTraffic' ./cmd/slipwayd

.PHONY: demo-checks
demo-checks: ## canaries of a good and of a broken version, judged by metrics, on every target kind
	SLIPWAY_CHECKS=1 go test -count=1 -v -timeout 30m -parallel 3 -run 'TestMetricCheck' ./cmd/slipwayd

.PHONY: crash
crash: ## kill the real process 25 times in the middle of rolling deploys under load, and 20 times each in a pipeline of 50 stages, while executions wait and while stages are restarted
	SLIPWAY_KILLS=25 go test -count=1 -v -timeout 60m -run 'TestCrash' ./cmd/slipwayd
	SLIPWAY_KILLS=20 go test -count=1 -v -timeout 60m -run 'TestKills' ./cmd/slipwayd

.PHONY: strategies
strategies: ## every strategy on every target kind under load, compared with its plan
	SLIPWAY_STRATEGIES=all go test -count=1 -v -timeout 60m -run 'TestStrategies' ./cmd/slipwayd

.PHONY: faults
faults: ## 10,000 random fault schedules of the workflow and 10,000 of the decisions in virtual time, 100 of the three target kinds over the wire
	go test -count=1 -v -timeout 30m ./delivery/rollout -run 'TestInvariantsUnderFaults' -rapid.checks=10000
	go test -count=1 -v -timeout 30m ./workflows -run 'Fault' -rapid.checks=100
	go test -count=1 -v ./providers/aws/asg ./providers/gcp/mig ./providers/gcp/cloudrun -run 'TestConformance|TestStaleReads|TestErrors'
	SLIPWAY_SCHEDULES=100 go test -count=1 -v -timeout 30m ./internal/wirefaults

.PHONY: enumerate
enumerate: ## a death at every call and commit and a cancel at every event of each strategy, for hours; KINDS= for fewer target kinds
	SLIPWAY_ENUMERATE=all go test -count=1 -v -timeout 60m ./workflows -run 'TestEnumerated'
	for kind in $(KINDS); do SLIPWAY_KIND=$$kind SLIPWAY_ENUMERATE=all go test -count=1 -v -timeout 6h ./internal/wirefaults -run 'TestEnumerated' || exit 1; done

.PHONY: bench
bench: ## speed and memory, as ratios against a baseline in the same run; ARGS= passes flags on
	go run ./internal/bench $(ARGS)

.PHONY: footprint
footprint: ## size, build time and idle memory of slipwayd and of each role alone; ARGS= passes flags on
	go run ./internal/footprint $(ARGS)

.PHONY: help
help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
