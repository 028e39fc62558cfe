package v1

// CronCheck says whether a cron expression can be used, as Gate does.
type CronCheck struct {
	Valid bool `json:"valid"`
	// Description is set for a valid expression, Message for another one.
	Description string `json:"description,omitempty"`
	Message     string `json:"message,omitempty"`
	// Next are the next times at which the expression comes about, at most five, in
	// milliseconds since 1970.
	Next []int64 `json:"next,omitempty"`
}
