package workflows

import (
	"errors"
	"fmt"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// TestDefinitionsAreReadOnce: those that were read last are kept, the others are read
// again, and so is one that could not be read.
func TestDefinitionsAreReadOnce(t *testing.T) {
	var d definitions
	reads := map[delivery.ExecutionID]int{}
	read := func(n int) {
		id := delivery.ExecutionID(fmt.Sprint(n))
		got, err := d.of(id, func() (pipeline.Definition, error) {
			reads[id]++
			return pipeline.Definition{Stages: []pipeline.StageSpec{{RefID: string(id)}}}, nil
		})
		if err != nil || got.Stages[0].RefID != string(id) {
			t.Fatalf("%d: %+v, %v", n, got, err)
		}
	}
	failed := errors.New("the store is away")
	if _, err := d.of("0", func() (pipeline.Definition, error) { return pipeline.Definition{}, failed }); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	for n := range maxDefinitions {
		read(n)
		read(0) // and so it stays
	}
	read(maxDefinitions)
	for n, want := range map[int]int{0: 1, maxDefinitions: 1, 1: 1} {
		if got := reads[delivery.ExecutionID(fmt.Sprint(n))]; got != want {
			t.Errorf("%d was read %d times, want %d", n, got, want)
		}
	}
	read(1)
	if len(d.kept) != maxDefinitions || reads["1"] != 2 {
		t.Errorf("%d are kept, the oldest was read %d times", len(d.kept), reads["1"])
	}
}
