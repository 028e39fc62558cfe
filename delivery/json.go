package delivery

import (
	"bytes"
	"encoding/json"
)

// JSONKind names the kind of a valid JSON value in the words of findings.
func JSONKind(raw json.RawMessage) string {
	trimmed := bytes.TrimLeft(raw, " \t\r\n")
	if len(trimmed) == 0 {
		return "null"
	}
	switch trimmed[0] {
	case '{':
		return "object"
	case '[':
		return "list"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	default:
		return "number"
	}
}

// WithArticle is a kind of value as findings say what was found: "an object".
func WithArticle(kind string) string {
	switch kind {
	case "null":
		return kind
	case "object":
		return "an " + kind
	default:
		return "a " + kind
	}
}
