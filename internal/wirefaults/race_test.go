//go:build race

package wirefaults

// With the race detector everything takes several times as long, but the clocks
// go on as fast.
const (
	schedules = 3
	atOnce    = 1
	// perCase is how many troubles of each case are tried, enumeratedAtOnce how
	// many at the same time.
	perCase          = 1
	enumeratedAtOnce = 2
)
