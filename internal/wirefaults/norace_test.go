//go:build !race

package wirefaults

const (
	// schedules is how many run when nobody asks for more: four of each kind.
	schedules = 12
	// atOnce is how many run at the same time. They mostly wait, but health checks
	// and load go on all the time: one takes a tenth of a core.
	atOnce = 5
)
