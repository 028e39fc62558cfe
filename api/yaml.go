package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strconv"

	"github.com/gin-gonic/gin"
	"gopkg.in/yaml.v3"

	"github.com/slipway-cd/slipway/delivery"
)

// maxNodes bounds the values of a YAML document after its aliases are resolved, as
// maxBody bounds their texts: a few hundred bytes of aliases of aliases can stand for
// billions.
const maxNodes = 100_000

// bindDocument reads the body as an object in JSON, or in YAML when its content type
// says so.
func bindDocument(c *gin.Context) (object, error) {
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err == nil && (kind == "application/yaml" || kind == "application/x-yaml") {
		body, err := fromYAML(bodyOf(c))
		if err != nil {
			return nil, err
		}
		c.Set(bodyKey, []byte(body))
	}
	return bindObject(c, false)
}

// fromYAML returns the one document of a YAML text as JSON.
func fromYAML(text []byte) (json.RawMessage, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, next yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, invalid("", "the body is empty; a YAML document is needed")
	} else if err != nil {
		return nil, invalid("", "malformed YAML: "+err.Error())
	}
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		return nil, invalid("", "the body has more than one YAML document")
	}
	r := &yamlReader{}
	out, err := r.value(&document, "", 0)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// yamlReader turns YAML nodes into JSON.
type yamlReader struct{ nodes, bytes int }

func (r *yamlReader) value(n *yaml.Node, at string, depth int) (json.RawMessage, error) {
	if r.nodes++; r.nodes > maxNodes {
		return nil, invalid("", fmt.Sprintf("the YAML has more than %d values when its aliases are resolved", maxNodes))
	}
	if r.bytes += len(n.Value); r.bytes > maxBody {
		return nil, invalid("", fmt.Sprintf("the YAML is larger than %d bytes when its aliases are resolved", maxBody))
	}
	if depth > maxDepth {
		return nil, invalid("", fmt.Sprintf("the YAML nests deeper than %d levels", maxDepth))
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return r.value(n.Content[0], at, depth)
	case yaml.AliasNode:
		return r.value(n.Alias, at, depth+1)
	case yaml.MappingNode:
		return r.mapping(n, at, depth)
	case yaml.SequenceNode:
		list := make([]json.RawMessage, len(n.Content))
		for i, element := range n.Content {
			var err error
			if list[i], err = r.value(element, at+"/"+strconv.Itoa(i), depth+1); err != nil {
				return nil, err
			}
		}
		return json.Marshal(list)
	default:
		return scalar(n, at)
	}
}

func (r *yamlReader) mapping(n *yaml.Node, at string, depth int) (json.RawMessage, error) {
	out := object{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		r.bytes += len(key.Value)
		pointer := at + "/" + delivery.PointerToken(key.Value)
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!null":
			return nil, invalid(at, fmt.Sprintf("line %d: a key must be a text", key.Line))
		case key.ShortTag() == "!!merge":
			return nil, invalid(at, fmt.Sprintf("line %d: merge keys (<<) are not supported", key.Line))
		}
		if _, twice := out[key.Value]; twice {
			return nil, invalid(pointer, fmt.Sprintf("line %d: the key stands twice in one object", key.Line))
		}
		value, err := r.value(n.Content[i+1], pointer, depth+1)
		if err != nil {
			return nil, err
		}
		out[key.Value] = value
	}
	return json.Marshal(out)
}

// scalar reads what is neither a list nor an object. Dates stay texts, as JSON has them.
func scalar(n *yaml.Node, at string) (json.RawMessage, error) {
	refuse := func(why string) error {
		return invalid(at, fmt.Sprintf("line %d: %s", n.Line, why))
	}
	switch tag := n.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return json.Marshal(n.Value)
	case "!!null":
		return json.RawMessage("null"), nil
	case "!!bool", "!!int", "!!float":
		if tag != "!!bool" && json.Valid([]byte(n.Value)) {
			return json.RawMessage(n.Value), nil // with all of its digits
		}
		var value any
		if err := n.Decode(&value); err != nil {
			return nil, refuse("cannot be read: " + err.Error())
		}
		out, err := json.Marshal(value)
		if err != nil {
			return nil, refuse(fmt.Sprintf("%s cannot be a number in JSON", n.Value))
		}
		return out, nil
	default:
		return nil, refuse(fmt.Sprintf("a value of type %s cannot be read", tag))
	}
}

// findingsOf returns an error's findings, or its text as one about the whole.
func findingsOf(err error) []delivery.Finding {
	if err == nil {
		return nil
	}
	if findings := delivery.FindingsOf(err); len(findings) > 0 {
		return findings
	}
	return []delivery.Finding{{Message: messageOf(err)}}
}
