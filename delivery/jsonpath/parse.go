package jsonpath

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The bounds of a path.
const (
	// MaxLength is in bytes.
	MaxLength = 1024
	MaxSteps  = 64
)

// parser reads a path from left to right.
type parser struct {
	text string
	at   int
}

// Parse reads a path. The error says in words for people what is wrong and where.
func Parse(text string) (Path, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return Path{}, fmt.Errorf("is empty; a path begins with $")
	case len(text) > MaxLength:
		return Path{}, fmt.Errorf("has %d bytes; a path has %d at most", len(text), MaxLength)
	case !utf8.ValidString(text):
		return Path{}, fmt.Errorf("is not UTF-8")
	}
	p := parser{text: text}
	var path Path
	if text[0] == '$' {
		p.at = 1
	} else if text[0] != '[' {
		s, err := p.name()
		if err != nil {
			return Path{}, err
		}
		path.steps = append(path.steps, s)
	}
	for p.at < len(p.text) {
		s, err := p.next()
		if err != nil {
			return Path{}, err
		}
		if path.steps = append(path.steps, s); len(path.steps) > MaxSteps {
			return Path{}, fmt.Errorf("has more than %d steps", MaxSteps)
		}
	}
	return path, nil
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("at character %d: "+format, append([]any{utf8.RuneCountInString(p.text[:p.at]) + 1}, args...)...)
}

// rest is what has not been read yet.
func (p *parser) rest() string { return p.text[p.at:] }

// next reads one step with the dot or the bracket that begins it.
func (p *parser) next() (step, error) {
	switch {
	case strings.HasPrefix(p.rest(), ".."):
		return step{}, p.errorf("\"..\" leads to any number of values; name the way to one")
	case p.text[p.at] == '.':
		p.at++
		return p.name()
	case p.text[p.at] == '[':
		p.at++
		return p.bracketed()
	default:
		return step{}, p.errorf("a step begins with \".\" or \"[\"")
	}
}

// notInName are the characters that a name after a dot cannot have.
const notInName = ".[]()'\"*?@,:$ \t\r\n"

func (p *parser) name() (step, error) {
	end := strings.IndexAny(p.rest(), notInName)
	if end < 0 {
		end = len(p.rest())
	}
	name := p.rest()[:end]
	if strings.HasPrefix(p.rest(), "*") {
		return step{}, p.errorf("\"*\" leads to any number of values; name one")
	}
	if name == "" {
		return step{}, p.errorf("a name is missing")
	}
	p.at += end
	if strings.HasPrefix(p.rest(), "(") {
		return step{}, p.errorf("functions are not known")
	}
	return step{name: name}, nil
}

// bracketed reads what stands after an opening bracket, and the closing one.
func (p *parser) bracketed() (s step, err error) {
	p.blanks()
	switch {
	case strings.HasPrefix(p.rest(), "'"), strings.HasPrefix(p.rest(), `"`):
		s, err = p.quoted()
	case strings.HasPrefix(p.rest(), "*"):
		err = p.errorf("\"*\" leads to any number of values; name one")
	case strings.HasPrefix(p.rest(), "?"):
		err = p.errorf("filters are not known")
	default:
		s, err = p.index()
	}
	if err != nil {
		return step{}, err
	}
	p.blanks()
	switch {
	case strings.HasPrefix(p.rest(), "]"):
		p.at++
		return s, nil
	case strings.HasPrefix(p.rest(), ","), strings.HasPrefix(p.rest(), ":"):
		return step{}, p.errorf("several names or indexes lead to any number of values; name one")
	default:
		return step{}, p.errorf("\"]\" is missing")
	}
}

func (p *parser) blanks() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

// quoted reads a name in single or double quotes; a backslash takes the next
// character as it is.
func (p *parser) quoted() (step, error) {
	quote := p.text[p.at]
	var name strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == quote:
			p.at = i + 1
			return step{name: name.String()}, nil
		case c == '\\' && i+1 < len(p.text):
			i++
			name.WriteByte(p.text[i])
		default:
			name.WriteByte(c)
		}
	}
	return step{}, p.errorf("the quote is not closed")
}

func (p *parser) index() (step, error) {
	end := 0
	for end < len(p.rest()) && (p.rest()[end] >= '0' && p.rest()[end] <= '9' || end == 0 && p.rest()[end] == '-') {
		end++
	}
	index, err := strconv.Atoi(p.rest()[:end])
	if err != nil || index > math.MaxInt32 || index < math.MinInt32 {
		return step{}, p.errorf("brackets hold an index or a name in quotes")
	}
	p.at += end
	return step{index: index, indexed: true}, nil
}
