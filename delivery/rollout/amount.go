package rollout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Amount is a number of instances or a percentage of the wanted capacity. In
// JSON it is 3, "3" or "25%". The zero value is 0 instances.
type Amount struct {
	Value   int
	Percent bool
}

// Instances is an absolute amount.
func Instances(n int) Amount { return Amount{Value: n} }

// Percentage is an amount relative to the wanted capacity.
func Percentage(p int) Amount { return Amount{Value: p, Percent: true} }

// Up resolves the amount against a capacity, rounding a percentage up.
func (a Amount) Up(capacity int) int {
	if !a.Percent {
		return a.Value
	}
	return (a.Value*capacity + 99) / 100
}

// Down resolves the amount against a capacity, rounding a percentage down.
func (a Amount) Down(capacity int) int {
	if !a.Percent {
		return a.Value
	}
	return a.Value * capacity / 100
}

// String is the JSON form without quotes.
func (a Amount) String() string {
	if a.Percent {
		return strconv.Itoa(a.Value) + "%"
	}
	return strconv.Itoa(a.Value)
}

// MarshalJSON writes 3 or "25%".
func (a Amount) MarshalJSON() ([]byte, error) {
	if a.Percent {
		return json.Marshal(a.String())
	}
	return json.Marshal(a.Value)
}

// UnmarshalJSON reads 3, "3" or "25%" and refuses everything else, negative
// amounts among it.
func (a *Amount) UnmarshalJSON(data []byte) error {
	text := string(bytes.Trim(bytes.TrimSpace(data), `"`))
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 0 || n > 1_000_000 {
		return fmt.Errorf("%s is neither a number of instances nor a percentage like \"25%%\"", data)
	}
	*a = Amount{Value: n, Percent: percent}
	return nil
}
