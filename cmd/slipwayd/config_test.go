package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/slipway-cd/slipway/delivery"
)

// resolved reads settings as main does.
func resolved(t *testing.T, args []string, env map[string]string) (settings, error) {
	t.Helper()
	var s settings
	flags := pflag.NewFlagSet("slipwayd", pflag.ContinueOnError)
	s.bind(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	err := s.resolve(flags, func(name string) string { return env[name] })
	return s, err
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "slipway.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const oneAccount = `
listen: 127.0.0.1:1111
metricsListen: 127.0.0.1:2222
data: /tmp/from-file
poll: 7s
accounts:
  - {name: prod, provider: aws, regions: [us-east-1], settle: 90s}
`

func TestAFlagBeatsAVariableBeatsTheFile(t *testing.T) {
	s, err := resolved(t, []string{"--config", configFile(t, oneAccount), "--listen", "127.0.0.1:3333"},
		map[string]string{"SLIPWAY_LISTEN": "127.0.0.1:4444", "SLIPWAY_METRICS_LISTEN": "127.0.0.1:5555"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != "127.0.0.1:3333" || s.MetricsListen != "127.0.0.1:5555" || s.Data != "/tmp/from-file" {
		t.Errorf("listen %s, metrics %s, data %s", s.Listen, s.MetricsListen, s.Data)
	}
	if s.Poll != 7*time.Second || len(s.Accounts) != 1 || s.Accounts[0].Settle != 90*time.Second {
		t.Errorf("poll %s, accounts %+v", s.Poll, s.Accounts)
	}
}

func TestDefaultsSurviveAFileThatDoesNotNameThem(t *testing.T) {
	s, err := resolved(t, []string{"--simulate", "--config", configFile(t, "logLevel: debug\n")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Listen != defaultListen || s.Role != "all" || s.Poll != defaultPoll || s.LogLevel != "debug" || !s.Simulate {
		t.Errorf("%+v", s)
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		says string
	}{
		"no accounts":              {nil, nil, "--config"},
		"wide open":                {[]string{"--simulate", "--listen", ":8084"}, nil, "--listen"},
		"metrics wide open":        {[]string{"--simulate", "--metrics-listen", "192.0.2.1:80"}, nil, "--metrics-listen"},
		"no port":                  {[]string{"--simulate", "--listen", "127.0.0.1"}, nil, "--listen"},
		"a variable of wrong type": {nil, map[string]string{"SLIPWAY_SIMULATE": "perhaps"}, "SLIPWAY_SIMULATE"},
		"file is missing":          {[]string{"--config", "/nowhere/slipway.yaml"}, nil, "/nowhere/slipway.yaml"},
		"unknown key":              {[]string{"--config", configFile(t, "acounts: []\n")}, nil, "acounts"},
		"no YAML":                  {[]string{"--config", configFile(t, "{{{")}, nil, "slipway.yaml"},
		"negative poll":            {[]string{"--simulate", "--config", configFile(t, "poll: -1s\n")}, nil, "poll"},
		"egress stays closed":      {[]string{"--simulate", "--config", configFile(t, "egress: {allow: [ci.example, 169.254.169.254]}\n")}, nil, "slipway.yaml: egress.allow[1]"},
		"account without a name":   {[]string{"--config", configFile(t, "accounts: [{provider: aws, regions: [us-east-1]}]\n")}, nil, "accounts[0].name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := resolved(t, test.args, test.env)
			if delivery.KindOf(err) != delivery.Invalid || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v does not name %s", err, test.says)
			}
		})
	}
}
