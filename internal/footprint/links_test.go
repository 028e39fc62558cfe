package main

import (
	"slices"
	"strings"
	"testing"
)

// The folders of what the roles must not link.
var (
	clouds         = []string{"github.com/aws", "cloud.google.com/go", "google.golang.org/api"}
	temporalServer = []string{"go.temporal.io/server"}
	gin            = []string{"github.com/gin-gonic"}
	simulator      = []string{"github.com/slipway-cd/slipway/simcloud"}
	commands       = []string{"github.com/slipway-cd/slipway/cmd"}
)

func TestAPIRoleLinksNoCloud(t *testing.T) {
	packages := mustList(t, "./api")
	mustLink(t, packages, gin)
	mustNotLink(t, packages, clouds, temporalServer, simulator, commands)
}

func TestWorkersLinkTheirClouds(t *testing.T) {
	aws := []string{"github.com/aws/aws-sdk-go-v2/service/ec2"}
	google := []string{"cloud.google.com/go/compute/apiv1", "cloud.google.com/go/run/apiv2", "google.golang.org/api"}
	for _, row := range []struct {
		folder   string
		links    []string
		linksNot [][]string
	}{
		{"./worker", slices.Concat(aws, google), nil},
		{"./workeraws", aws, [][]string{google}},
		{"./workergcp", google, [][]string{{"github.com/aws"}}},
		{"./workerbare", nil, [][]string{clouds}},
	} {
		t.Run(row.folder, func(t *testing.T) {
			packages := mustList(t, row.folder)
			mustLink(t, packages, row.links)
			mustNotLink(t, packages, append(row.linksNot, temporalServer, gin, simulator, commands)...)
		})
	}
}

// TestProgramLinksNothing keeps what measures out of what is measured, and this
// test fast.
func TestProgramLinksNothing(t *testing.T) {
	for _, p := range mustList(t, ".") {
		if p.module != standard && p.path != "github.com/slipway-cd/slipway/internal/footprint" {
			t.Errorf("links %s", p.path)
		}
	}
}

func mustList(t *testing.T, folder string) []linked {
	t.Helper()
	packages, err := listLinked(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) == 0 {
		t.Fatal("no package is linked")
	}
	return packages
}

func mustLink(t *testing.T, packages []linked, folders []string) {
	t.Helper()
	for _, folder := range folders {
		if !slices.ContainsFunc(packages, func(p linked) bool { return within(p.path, folder) }) {
			t.Errorf("does not link %s", folder)
		}
	}
}

func mustNotLink(t *testing.T, packages []linked, groups ...[]string) {
	t.Helper()
	for _, folder := range slices.Concat(groups...) {
		for _, p := range packages {
			if within(p.path, folder) {
				t.Errorf("links %s", p.path)
			}
		}
	}
}

func within(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }
