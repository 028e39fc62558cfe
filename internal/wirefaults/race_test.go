//go:build race

package wirefaults

// With the race detector everything takes several times as long, but the clocks
// go on as fast.
const (
	schedules = 3
	atOnce    = 1
)
