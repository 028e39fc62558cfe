package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/integrations/egress"
	"github.com/slipway-cd/slipway/providers"
)

// settings is what one process is told: flags, environment, configuration file,
// in this order of precedence.
type settings struct {
	Listen        string `yaml:"listen"`
	MetricsListen string `yaml:"metricsListen"`
	Data          string `yaml:"data"`
	Role          string `yaml:"role"`
	Simulate      bool   `yaml:"simulate"`
	LogLevel      string `yaml:"logLevel"`
	// Poll is how often an unfinished wait looks at the cloud.
	Poll     time.Duration             `yaml:"poll"`
	Accounts []providers.AccountConfig `yaml:"accounts"`
	// Egress is where webhooks and the like may go beyond the public internet.
	Egress egress.Config `yaml:"egress"`

	file string
}

const (
	defaultListen = "127.0.0.1:8084" // Gate's port
	// defaultMetricsListen is the port that OpenTelemetry's Prometheus exporter uses.
	defaultMetricsListen = "127.0.0.1:9464"
	defaultPoll          = 5 * time.Second
)

// bind declares the flags. Each of them is also SLIPWAY_<NAME>, with '_' for '-'.
func (s *settings) bind(flags *pflag.FlagSet) {
	flags.StringVar(&s.Listen, "listen", defaultListen, "address of the REST API; loopback only while no authentication is configured")
	flags.StringVar(&s.MetricsListen, "metrics-listen", defaultMetricsListen, "address of metrics and health")
	flags.StringVar(&s.Data, "data", "./data", "folder of the databases; one process at a time")
	flags.StringVar(&s.Role, "role", "all", "what this process does: all")
	flags.StringVar(&s.LogLevel, "log-level", "info", "debug, info, warn or error")
	flags.BoolVar(&s.Simulate, "simulate", false, "run against simulated clouds with a seeded demo application")
	flags.StringVar(&s.file, "config", "", "configuration file (YAML)")
}

// resolve fills in environment and file beneath the flags that were given, and
// checks the result. Every error names the setting.
func (s *settings) resolve(flags *pflag.FlagSet, getenv func(string) string) error {
	given := map[string]bool{}
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "SLIPWAY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value := getenv(name); value != "" && !f.Changed && failed == nil {
			if err := flags.Set(f.Name, value); err != nil {
				failed = delivery.Errorf(delivery.Invalid, "%s: %w", name, err)
			}
		}
		given[f.Name] = f.Changed
	})
	if failed != nil {
		return failed
	}
	if s.file != "" {
		if err := s.read(given); err != nil {
			return err
		}
	}
	if s.Poll == 0 {
		s.Poll = defaultPoll
	}
	return s.check()
}

// read takes from the file what no flag and no variable set.
func (s *settings) read(given map[string]bool) error {
	data, err := os.ReadFile(s.file)
	if err != nil {
		return delivery.Errorf(delivery.Invalid, "--config: %w", err)
	}
	fromFile := *s
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&fromFile); err != nil && !errors.Is(err, io.EOF) {
		// The decoder names Go's types, which mean nothing to who wrote the file.
		text := regexp.MustCompile(` in type \S+`).ReplaceAllString(err.Error(), "")
		return delivery.Errorf(delivery.Invalid, "%s: %s", s.file, text)
	}
	for name, field := range map[string]struct{ flag, file *string }{
		"listen": {&s.Listen, &fromFile.Listen}, "metrics-listen": {&s.MetricsListen, &fromFile.MetricsListen},
		"data": {&s.Data, &fromFile.Data}, "role": {&s.Role, &fromFile.Role}, "log-level": {&s.LogLevel, &fromFile.LogLevel},
	} {
		if !given[name] {
			*field.flag = *field.file
		}
	}
	if !given["simulate"] {
		s.Simulate = fromFile.Simulate
	}
	s.Accounts, s.Poll, s.Egress = fromFile.Accounts, fromFile.Poll, fromFile.Egress
	if s.Poll < 0 {
		return delivery.Errorf(delivery.Invalid, "%s: poll is %s; must not be negative", s.file, s.Poll)
	}
	return nil
}

func (s *settings) check() error {
	if s.Role != "all" {
		return delivery.Errorf(delivery.Invalid, "--role %q: only \"all\" exists; api and worker need a shared database and an external Temporal cluster", s.Role)
	}
	for flag, address := range map[string]string{"--listen": s.Listen, "--metrics-listen": s.MetricsListen} {
		if err := loopback(address); err != nil {
			return delivery.Errorf(delivery.Invalid, "%s %q: %w", flag, address, err)
		}
	}
	if !s.Simulate && len(s.Accounts) == 0 {
		return delivery.Errorf(delivery.Invalid, "no accounts: name them in the file given with --config, or try --simulate")
	}
	for i, a := range s.Accounts {
		if a.Name == "" {
			return delivery.Errorf(delivery.Invalid, "%s: accounts[%d].name is missing", s.file, i)
		}
	}
	if _, err := egress.New(s.Egress); err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	var err error
	if s.Data, err = filepath.Abs(s.Data); err != nil {
		return delivery.Errorf(delivery.Invalid, "--data: %w", err)
	}
	return nil
}

// loopback refuses addresses that other machines reach: there is no
// authentication yet, and nothing may listen beyond loopback without it.
func loopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("must be a loopback address, since no authentication is configured")
	}
	return nil
}
