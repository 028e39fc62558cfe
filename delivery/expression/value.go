package expression

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// value is what expressions compute with: nil, bool, int64, float64, string,
// list or record.
type value any

type list []value

type record map[string]value

// decode reads one JSON value. Whole numbers that fit become int64.
func decode(raw json.RawMessage) (value, error) {
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	v, err := decodeNext(in, 0)
	if err != nil {
		return nil, err
	}
	if in.More() {
		return nil, fmt.Errorf("more text follows the JSON value")
	}
	return v, nil
}

func decodeNext(in *json.Decoder, depth int) (value, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("JSON is nested deeper than %d", maxDepth)
	}
	token, err := in.Token()
	if err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	switch t := token.(type) {
	case json.Number:
		return number(t)
	case json.Delim:
		if t == '[' {
			return decodeList(in, depth)
		}
		return decodeRecord(in, depth)
	default:
		return t, nil
	}
}

func decodeList(in *json.Decoder, depth int) (value, error) {
	out := list{}
	for in.More() {
		v, err := decodeNext(in, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := in.Token()
	return out, err
}

func decodeRecord(in *json.Decoder, depth int) (value, error) {
	out := record{}
	for in.More() {
		token, err := in.Token()
		if err != nil {
			return nil, fmt.Errorf("read JSON: %w", err)
		}
		key, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("read JSON: a key is no string")
		}
		if out[key], err = decodeNext(in, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := in.Token()
	return out, err
}

func number(n json.Number) (value, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil, fmt.Errorf("%s is out of range", n)
	}
	return f, nil
}

// encode writes a value as JSON, without escaping for HTML. Dates become texts.
func encode(v value) (json.RawMessage, error) {
	if weight(v, 0) > maxProduced {
		return nil, fmt.Errorf("the results are larger than %d bytes", maxProduced)
	}
	v, err := plain(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// weight adds to a sum about as many bytes as a value takes in JSON, until it is over
// maxProduced: parts of a value may be the same in memory, and each is written out.
func weight(v value, sum int) int {
	sum++
	switch t := v.(type) {
	case string:
		sum += len(t)
	case list:
		for i := 0; i < len(t) && sum <= maxProduced; i++ {
			sum = weight(t[i], sum)
		}
	case record:
		for key, field := range t {
			if sum > maxProduced {
				break
			}
			sum = weight(field, sum+len(key))
		}
	}
	return sum
}

// plain replaces what JSON does not have by what displays it.
func plain(v value) (value, error) {
	switch t := v.(type) {
	case list:
		out := make(list, len(t))
		for i := range t {
			var err error
			if out[i], err = plain(t[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case record:
		out := make(record, len(t))
		for key := range t {
			var err error
			if out[key], err = plain(t[key]); err != nil {
				return nil, err
			}
		}
		return out, nil
	case date, unit, class, root, dateFormat:
		return display(v)
	default:
		return v, nil
	}
}

// display writes a value as text: whole numbers without a fraction, lists with
// commas between their elements as Spring does, records as JSON.
func display(v value) (string, error) {
	switch t := v.(type) {
	case nil:
		return "", fmt.Errorf("has no value")
	case string:
		return t, nil
	case bool:
		return strconv.FormatBool(t), nil
	case int64:
		return strconv.FormatInt(t, 10), nil
	case float64:
		if t == math.Trunc(t) && math.Abs(t) < 1e15 {
			return strconv.FormatFloat(t, 'f', -1, 64), nil
		}
		return strconv.FormatFloat(t, 'g', -1, 64), nil
	case list:
		return displayList(t)
	case date:
		return t.String(), nil
	case unit:
		return string(t), nil
	case class, root, dateFormat:
		return "", fmt.Errorf("is %s, which is no result", kind(v))
	default:
		raw, err := encode(t)
		return string(raw), err
	}
}

func displayList(l list) (string, error) {
	if weight(l, 0) > maxProduced {
		return "", fmt.Errorf("the results are larger than %d bytes", maxProduced)
	}
	texts := make([]string, len(l))
	for i, v := range l {
		if nested, ok := v.(list); ok || v == nil {
			raw, err := encode(nested)
			if err != nil {
				return "", err
			}
			texts[i] = string(raw)
			continue
		}
		text, err := display(v)
		if err != nil {
			return "", err
		}
		texts[i] = text
	}
	return strings.Join(texts, ","), nil
}

// kind names a value's kind in the words of errors.
func kind(v value) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "a boolean"
	case int64, float64:
		return "a number"
	case string:
		return "a string"
	case list:
		return "a list"
	case date:
		return "a date"
	case unit:
		return "a unit of time"
	case class:
		return "a class"
	case dateFormat:
		return "a date format"
	case root:
		return "all variables"
	default:
		return "an object"
	}
}
