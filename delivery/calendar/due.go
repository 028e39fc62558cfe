package calendar

import "time"

// Policy says what becomes of fires that were missed.
type Policy string

// The policies.
const (
	// Skip leaves them out.
	Skip Policy = "skip"
	// Latest makes up for the last one.
	Latest Policy = "latest"
	// All makes up for each, the newest CatchUp.Max of them.
	All Policy = "all"
)

// Policies returns the policies.
func Policies() []Policy { return []Policy{Skip, Latest, All} }

// The defaults and bounds of CatchUp. Half an hour is how far back Spinnaker's
// compensation of missed cron triggers looks (echo, scheduler.compensationJob).
const (
	DefaultWindow = 30 * time.Minute
	MaxWindow     = 7 * 24 * time.Hour
	MaxCatchUp    = 100
)

// onTime is how late a fire may be without having been missed: as long as a
// restart takes.
const onTime = time.Minute

// CatchUp says what becomes of fires that nobody carried out in time.
type CatchUp struct {
	Policy Policy `json:"policy"`
	// Window is how far back they count, 0 to MaxWindow.
	Window time.Duration `json:"window"`
	// Max is how many All makes up for at once, 1 to MaxCatchUp.
	Max int `json:"max"`
}

// Due is what is to be done at an instant.
type Due struct {
	// Fires are to be carried out now, oldest first.
	Fires []Fire
	// Missed counts those that were left out, as far back as the window reaches.
	Missed int
	// Next is the first one to come; its At is zero when there is none.
	Next Fire
}

// Due returns the fires after the last one that was looked at, up to now.
func (c Cron) Due(after, now time.Time, zone *time.Location, catchUp CatchUp) Due {
	var due Due
	var late []Fire
	from := after
	if start := now.Add(-max(catchUp.Window, onTime)); from.Before(start) {
		if f, ok := c.Next(from, zone); ok && f.At.Before(start) {
			due.Missed++
		}
		from = start.Add(-time.Nanosecond)
	}
	for {
		f, ok := c.Next(from, zone)
		if !ok {
			break
		}
		if f.At.After(now) {
			due.Next = f
			break
		}
		from = f.At
		if f.At.Before(now.Add(-onTime)) {
			late = append(late, f)
		} else {
			due.Fires = append(due.Fires, f)
		}
	}
	keep := 0
	switch catchUp.Policy {
	case All:
		keep = min(len(late), max(catchUp.Max, 1))
	case Latest:
		if len(due.Fires) == 0 {
			keep = min(len(late), 1)
		}
	}
	due.Missed += len(late) - keep
	due.Fires = append(late[len(late)-keep:], due.Fires...)
	return due
}
