// Command slipwayd is the Slipway daemon. It reads the configuration and wires
// the parts of one process; it decides nothing.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones of cron triggers, also where the system has none

	"github.com/spf13/cobra"

	"github.com/slipway-cd/slipway/delivery"
)

// version is set by the linker.
var version = "0.1.0-dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "slipwayd:", err)
		os.Exit(exitCode(err))
	}
}

func command() *cobra.Command {
	var s settings
	root := &cobra.Command{
		Use:           "slipwayd",
		Short:         "Slipway, a multi-cloud continuous-delivery server",
		Version:       version,
		Args:          noArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.resolve(cmd.Flags(), os.Getenv); err != nil {
				return err
			}
			logger, err := newLogger(s.LogLevel)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), s, logger)
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	s.bind(root.Flags())
	root.AddCommand(simulatorCommand())
	return root
}

func noArguments(cmd *cobra.Command, args []string) error { return usage(cobra.NoArgs(cmd, args)) }

// usage gives a mistake on the command line its kind.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return delivery.Errorf(delivery.Invalid, "%w; see slipwayd --help", err)
}

func newLogger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, delivery.Errorf(delivery.Invalid, "--log-level %q: must be debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}

// exitCode tells scripts what went wrong: 2 for wrong usage or configuration, as
// shells do, 1 for everything else.
func exitCode(err error) int {
	if delivery.KindOf(err) == delivery.Invalid {
		return 2
	}
	return 1
}
