package delivery

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// JSONFinding turns the error of unmarshalling settings into a finding: its
// pointer is the field of the wrong type, relative to the settings, and its words
// are those of JSON.
func JSONFinding(err error) Finding {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return Finding{Message: "is not a JSON object: " + err.Error()}
	}
	pointer := ""
	if wrong.Field != "" {
		pointer = "/" + strings.ReplaceAll(wrong.Field, ".", "/")
	}
	return Finding{Pointer: pointer, Message: fmt.Sprintf("is a JSON %s; want %s", wrong.Value, typeInJSON(wrong.Type))}
}

func typeInJSON(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "an object"
	}
}
