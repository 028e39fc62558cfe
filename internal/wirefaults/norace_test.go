//go:build !race

package wirefaults

const (
	// schedules is how many run when nobody asks for more: four of each kind.
	schedules = 12
	// atOnce is how many run at the same time. They mostly wait, but health checks
	// and load go on all the time: one takes a tenth of a core.
	atOnce = 5
	// perCase is how many troubles of each case are tried when nobody asks for more,
	// enumeratedAtOnce how many at the same time.
	perCase          = 2
	enumeratedAtOnce = 16
)
