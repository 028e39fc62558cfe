package expression

import (
	"fmt"
	"strings"
)

// part is a piece of a template: literal text, or the text between "${" and "}".
type part struct {
	text       string
	expression bool
}

// wrap names the expression in an error about it.
func (p part) wrap(err error) error {
	text := p.text
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "..."
	}
	return fmt.Errorf("${%s}: %w", text, err)
}

// problem is an error about the expression.
func (p part) problem(err error) Problem {
	return Problem{Expression: p.text, Message: p.wrap(err).Error()}
}

// split cuts a string into literal text and expressions.
func split(text string) ([]part, error) {
	var out []part
	for text != "" {
		start := strings.Index(text, "${")
		if start < 0 {
			return append(out, part{text: text}), nil
		}
		if start > 0 {
			out = append(out, part{text: text[:start]})
		}
		body := text[start+2:]
		length := closing(body)
		if length < 0 {
			return nil, part{text: body}.wrap(fmt.Errorf("the closing } is missing"))
		}
		if strings.TrimSpace(body[:length]) == "" {
			return nil, part{text: body[:length]}.wrap(fmt.Errorf("the expression is empty"))
		}
		out = append(out, part{text: body[:length], expression: true})
		text = body[length+1:]
	}
	return out, nil
}

// closing returns the offset of the brace that ends an expression, or -1. Braces
// inside quotes and pairs of braces belong to the expression.
func closing(body string) int {
	depth := 0
	var quote byte
	for i := range len(body) {
		c := body[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
	}
	return -1
}
