package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// subject is one program that is measured.
type subject struct {
	// name is also the name of its binary.
	name string
	// folder is its main package, from the root of the repository.
	folder string
	what   string
	// cold says that its cold build is measured, which takes minutes.
	cold bool
}

// shipped is the subject that all others are compared with. engine is the one
// that the roles connect to.
const (
	shipped = "slipwayd"
	engine  = "server"
)

func subjects() []subject {
	return []subject{
		{shipped, "./cmd/slipwayd", "as it ships: everything, and the simulator", true},
		{"worker", "./internal/footprint/worker", "the worker role, every cloud", true},
		{"api", "./internal/footprint/api", "the API role", true},
		{engine, "./internal/footprint/server", "the Temporal server alone", false},
		{"workeraws", "./internal/footprint/workeraws", "the worker role, AWS alone", false},
		{"workergcp", "./internal/footprint/workergcp", "the worker role, Google Cloud alone", false},
		{"workerbare", "./internal/footprint/workerbare", "the worker role, no cloud", false},
	}
}

// choose keeps the subjects of a list of names, all for an empty list. The one
// that all are compared with and the engine of the roles are always among them.
func choose(all []subject, names string) ([]subject, error) {
	if names == "" {
		return all, nil
	}
	wanted := append(strings.Split(names, ","), shipped, engine)
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(s subject) bool { return s.name == name }) {
			return nil, fmt.Errorf("there is no subject %q", name)
		}
	}
	return slices.DeleteFunc(all, func(s subject) bool { return !slices.Contains(wanted, s.name) }), nil
}

// accounts is one account of every cloud, where nobody answers: nothing that is
// measured calls a cloud.
const accounts = `accounts:
  - name: aws-measured
    provider: aws
    accountId: "123456789012"
    regions: [us-east-1, us-west-2]
    endpoint: http://127.0.0.1:9
    accessKeyId: measured
    secretAccessKey: measured
  - name: gcp-measured
    provider: gce
    project: measured
    regions: [us-central1, europe-west1]
    endpoint: http://127.0.0.1:9
    accessToken: measured
`

// place is where the binaries and the files of a run lie.
type place struct{ dir string }

func (p place) binary(s subject) string { return filepath.Join(p.dir, s.name) }
func (p place) config() string          { return filepath.Join(p.dir, "slipway.yaml") }
func (p place) log(s subject) string    { return filepath.Join(p.dir, s.name+".log") }

// writeConfig writes the configuration that every subject reads its accounts from.
func (p place) writeConfig() error { return os.WriteFile(p.config(), []byte(accounts), 0o600) }

// arguments are what a subject is started with. temporal is the engine's address.
func (p place) arguments(s subject, temporal string) []string {
	out := []string{"--data", filepath.Join(p.dir, "data-"+s.name), "--config", p.config()}
	if s.name == shipped {
		return append(out, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-level", "warn")
	}
	return append(out, "--temporal", temporal)
}
