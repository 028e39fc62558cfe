package expression

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// functions are Spinnaker's helper functions that need nothing but their
// argument. Each takes exactly one.
var functions = map[string]func(value) (value, error){
	"toInt":          toInt,
	"toFloat":        toFloat,
	"toBoolean":      toBoolean,
	"toJson":         toJSON,
	"readJson":       readJSON,
	"toBase64":       toBase64,
	"fromBase64":     fromBase64,
	"alphanumerical": alphanumerical,
}

// checkCall refuses an unknown function and a wrong number of arguments.
func checkCall(name string, arguments int) error {
	if _, ok := functions[name]; !ok {
		return fmt.Errorf("there is no function #%s; known are #%s", name, strings.Join(slices.Sorted(maps.Keys(functions)), ", #"))
	}
	if arguments != 1 {
		return fmt.Errorf("#%s takes one argument, not %d", name, arguments)
	}
	return nil
}

func callFunction(name string, args []value) (value, error) {
	if err := checkCall(name, len(args)); err != nil {
		return nil, err
	}
	return functions[name](args[0])
}

func toInt(v value) (value, error) {
	switch t := v.(type) {
	case int64:
		return t, nil
	case float64:
		if t == math.Trunc(t) && math.Abs(t) < 1<<53 {
			return int64(t), nil
		}
	case string:
		if i, err := strconv.ParseInt(strings.TrimSpace(t), 10, 64); err == nil {
			return i, nil
		}
		return nil, fmt.Errorf("%q is no whole number", t)
	}
	return nil, fmt.Errorf("%s is no whole number", kind(v))
}

func toFloat(v value) (value, error) {
	if f, ok := asFloat(v); ok {
		return f, nil
	}
	if t, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(t), 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return nil, fmt.Errorf("%q is no number", t)
	}
	return nil, fmt.Errorf("%s is no number", kind(v))
}

// toBoolean follows Java's parseBoolean: every text but "true" is false.
func toBoolean(v value) (value, error) {
	switch t := v.(type) {
	case bool:
		return t, nil
	case string:
		return strings.EqualFold(t, "true"), nil
	default:
		return nil, fmt.Errorf("%s is no boolean", kind(v))
	}
}

func toJSON(v value) (value, error) {
	raw, err := encode(v)
	return string(raw), err
}

func readJSON(v value) (value, error) {
	t, err := text(v)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(t)) {
		return nil, fmt.Errorf("the text is not JSON")
	}
	return decode(json.RawMessage(t))
}

func toBase64(v value) (value, error) {
	t, err := text(v)
	return base64.StdEncoding.EncodeToString([]byte(t)), err
}

func fromBase64(v value) (value, error) {
	t, err := text(v)
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(t)
	if err != nil {
		return nil, fmt.Errorf("the text is not base64")
	}
	return string(raw), nil
}

// alphanumerical keeps only A-Z, a-z and 0-9.
func alphanumerical(v value) (value, error) {
	t, err := text(v)
	return strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') {
			return r
		}
		return -1
	}, t), err
}

func text(v value) (string, error) {
	if t, ok := v.(string); ok {
		return t, nil
	}
	return "", fmt.Errorf("%s is no string", kind(v))
}
