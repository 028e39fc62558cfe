package cloudrun_test

import (
	"testing"

	"github.com/slipway-cd/slipway/providers/providertest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Cloud { return newCloud(t) })
}
