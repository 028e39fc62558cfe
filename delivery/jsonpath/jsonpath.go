package jsonpath

import (
	"strconv"
	"strings"
)

// Path leads to one value of a document. The zero Path leads to the document itself.
type Path struct{ steps []step }

// step is one name of an object or one index of a list.
type step struct {
	name  string
	index int
	// indexed steps have an index.
	indexed bool
}

// Find returns the value in a document as encoding/json decodes it into an any. ok is
// false when the document has no such place. A null that is there is found.
func (p Path) Find(document any) (value any, ok bool) {
	value = document
	for _, s := range p.steps {
		if value, ok = s.from(value); !ok {
			return nil, false
		}
	}
	return value, true
}

func (s step) from(value any) (any, bool) {
	if !s.indexed {
		fields, _ := value.(map[string]any)
		field, ok := fields[s.name]
		return field, ok
	}
	list, _ := value.([]any)
	index := s.index
	if index < 0 {
		index += len(list)
	}
	if index < 0 || index >= len(list) {
		return nil, false
	}
	return list[index], true
}

// String returns the path in its normal form (RFC 9535 section 2.7), which Parse reads
// as the same path.
func (p Path) String() string {
	var b strings.Builder
	b.WriteByte('$')
	for _, s := range p.steps {
		b.WriteByte('[')
		if s.indexed {
			b.WriteString(strconv.Itoa(s.index))
		} else {
			b.WriteByte('\'')
			b.WriteString(strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s.name))
			b.WriteByte('\'')
		}
		b.WriteByte(']')
	}
	return b.String()
}
