package expression

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// translation is SpEL rewritten to the parser's syntax. Each rune remembers
// which rune of the source it comes from.
type translation struct {
	runes  []rune
	origin []int
}

func (t *translation) add(origin int, text string) {
	for _, r := range text {
		t.runes = append(t.runes, r)
		t.origin = append(t.origin, origin)
	}
}

func (t *translation) text() string { return string(t.runes) }

// position returns the place in the source, counted from 1, of a rune in the translation.
func (t *translation) position(i int) int {
	if len(t.origin) == 0 {
		return 1
	}
	return t.origin[min(max(i, 0), len(t.origin)-1)] + 1
}

// What SpEL has and the parser has not becomes calls of these names, which nobody
// can write: a "$" is no part of a SpEL name.
const (
	selectAll   = "$select"  // list.?[condition]
	selectFirst = "$first"   // list.^[condition]
	selectLast  = "$last"    // list.$[condition]
	project     = "$project" // list.![expression]
	construct   = "$new"     // new Class(arguments)
	rootName    = "$root"    // #root
	thisName    = "$this"    // #this
)

// selections are the ways to pick from a list, by the rune before the bracket.
var selections = map[rune]string{'?': selectAll, '^': selectFirst, '$': selectLast, '!': project}

// words are SpEL's operators in letters. between and instanceof ride on operators
// of the parser that SpEL does not have.
var words = map[string]string{
	"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "div": "/", "mod": "%", "and": "and", "or": "or", "not": "not",
	"matches": "matches", "between": "in", "instanceof": "contains", "AND": "and", "OR": "or", "NOT": "not",
}

// foreign are words that mean something to the parser and nothing to SpEL.
var foreign = map[string]bool{"in": true, "contains": true, "startsWith": true, "endsWith": true, "let": true, "if": true, "else": true}

// translator rewrites one expression.
type translator struct {
	in  []rune
	at  int
	out translation
	// opened are the brackets that are open.
	opened []bracket
}

// bracket is an open bracket: where it is, and what ends it in the source and in
// the translation.
type bracket struct {
	at             int
	source, target rune
}

// translate rewrites what SpEL writes differently from the parser.
func translate(source string) (*translation, error) {
	t := &translator{in: []rune(source)}
	for t.at < len(t.in) {
		if err := t.token(); err != nil {
			return nil, err
		}
	}
	if n := len(t.opened); n > 0 {
		return nil, fmt.Errorf("at character %d: this is not closed by %q", t.opened[n-1].at+1, t.opened[n-1].source)
	}
	return &t.out, nil
}

func (t *translator) peek(ahead int) rune {
	if t.at+ahead < len(t.in) {
		return t.in[t.at+ahead]
	}
	return 0
}

// replace writes text for the next n runes of the source.
func (t *translator) replace(n int, text string) {
	t.out.add(t.at, text)
	t.at += n
}

func (t *translator) unexpected() error {
	return fmt.Errorf("at character %d: unexpected %q", t.at+1, t.in[t.at])
}

func (t *translator) token() error {
	switch r := t.in[t.at]; {
	case r == '\'' || r == '"':
		literal, length := unquote(t.in[t.at:])
		if length == 0 {
			return fmt.Errorf("at character %d: the string is not closed", t.at+1)
		}
		t.replace(length, quote(literal))
	case r == '#' && startsName(t.peek(1)):
		return t.hash()
	case r == '.' && selections[t.peek(1)] != "" && t.peek(2) == '[':
		t.opened = append(t.opened, bracket{t.at, ']', ')'})
		t.replace(3, "."+selections[t.peek(1)]+"(")
	case r == '#' || r == '`' || r == '\\' || r == '$' || r == ';' || r == '|' && t.peek(1) != '|':
		return t.unexpected()
	case r == '|':
		t.replace(2, "||")
	case strings.ContainsRune("([{", r):
		t.open(r)
	case strings.ContainsRune(")]}", r):
		return t.shut(r)
	case startsName(r):
		return t.word()
	case unicode.IsDigit(r):
		t.number()
	default:
		t.replace(1, string(r))
	}
	return nil
}

// hash reads a function, #root or #this.
func (t *translator) hash() error {
	t.at++
	switch name := t.name(); name {
	case "root":
		t.replace(len(name), rootName)
	case "this":
		t.replace(len(name), thisName)
	default:
		t.replace(len([]rune(name)), name)
	}
	return nil
}

// number reads digits, so that the letters of 1e3 or 10L are no words.
func (t *translator) number() {
	for unicode.IsDigit(t.peek(0)) || t.peek(0) == '_' || unicode.IsLetter(t.peek(0)) {
		if r := t.peek(0); (r == 'L' || r == 'l') && !unicode.IsDigit(t.peek(1)) {
			t.at++ // a long of Java
			return
		}
		t.replace(1, string(t.peek(0)))
	}
}

func (t *translator) open(r rune) {
	switch {
	case r == '{' && t.isMap():
		t.opened = append(t.opened, bracket{t.at, '}', '}'})
		if end := t.offset(1); t.peek(end) == ':' { // {:} is the empty map
			t.replace(end+1, "{")
			return
		}
		t.replace(1, "{")
	case r == '{':
		t.opened = append(t.opened, bracket{t.at, '}', ']'})
		t.replace(1, "[")
	case r == '[':
		t.opened = append(t.opened, bracket{t.at, ']', ']'})
		t.replace(1, "[")
	default:
		t.opened = append(t.opened, bracket{t.at, ')', ')'})
		t.replace(1, "(")
	}
}

// shut closes the bracket that is open.
func (t *translator) shut(r rune) error {
	n := len(t.opened)
	if n == 0 || t.opened[n-1].source != r {
		return t.unexpected()
	}
	r, t.opened = t.opened[n-1].target, t.opened[:n-1]
	t.replace(1, string(r))
	return nil
}

// offset is where the next rune is that is no space, from ahead on.
func (t *translator) offset(ahead int) int {
	for unicode.IsSpace(t.peek(ahead)) {
		ahead++
	}
	return ahead
}

func (t *translator) skipSpace(ahead int) rune { return t.peek(t.offset(ahead)) }

// isMap tells {key: value} from a list: a name or a string and a colon follow.
func (t *translator) isMap() bool {
	at := t.offset(1)
	switch r := t.peek(at); {
	case r == ':':
		return true
	case r == '\'' || r == '"':
		_, length := unquote(t.in[t.at+at:])
		return length > 0 && t.skipSpace(at+length) == ':'
	case startsName(r):
		for isName(t.peek(at)) {
			at++
		}
		return t.skipSpace(at) == ':'
	default:
		return false
	}
}

func startsName(r rune) bool { return r == '_' || unicode.IsLetter(r) }

func isName(r rune) bool { return startsName(r) || unicode.IsDigit(r) }

// name returns the name that begins at the present place.
func (t *translator) name() string {
	n := 0
	for isName(t.peek(n)) {
		n++
	}
	return string(t.in[t.at : t.at+n])
}

// afterDot reports whether what comes is the name of a field or method.
func (t *translator) afterDot() bool {
	for i := len(t.out.runes) - 1; i >= 0; i-- {
		if r := t.out.runes[i]; !unicode.IsSpace(r) {
			return r == '.'
		}
	}
	return false
}

// isKey reports whether a name is the key of a map, which may be any word.
func (t *translator) isKey(name string) bool {
	n := len(t.opened)
	if n == 0 || t.opened[n-1].target != '}' || t.skipSpace(len([]rune(name))) != ':' {
		return false
	}
	for i := len(t.out.runes) - 1; i >= 0; i-- {
		if r := t.out.runes[i]; !unicode.IsSpace(r) {
			return r == '{' || r == ','
		}
	}
	return false
}

func (t *translator) word() error {
	name := t.name()
	length := len([]rune(name))
	switch {
	case t.afterDot() || t.isKey(name):
		t.replace(length, name)
	case name == "new" && unicode.IsSpace(t.peek(length)):
		return t.newObject()
	case words[name] != "":
		t.replace(length, words[name])
	case foreign[name]:
		return fmt.Errorf("at character %d: %s is not supported", t.at+1, name)
	case name != typeName && t.skipSpace(length) == '(' && t.inSelection():
		t.out.add(t.at, thisName+".") // a method of the element: functions have a #
		t.replace(length, name)
	default:
		t.replace(length, name)
	}
	return nil
}

// inSelection reports whether the present place is within the brackets of a selection
// or projection.
func (t *translator) inSelection() bool {
	return slices.ContainsFunc(t.opened, func(b bracket) bool { return b.source == ']' && b.target == ')' })
}

// newObject reads "new a.b.Class(" and writes a call with the class as its first
// argument.
func (t *translator) newObject() error {
	start := t.at
	end := t.offset(len("new"))
	from := end
	for isName(t.peek(end)) || t.peek(end) == '.' {
		end++
	}
	class := string(t.in[t.at+from : t.at+end])
	end = t.offset(end)
	if class == "" || t.peek(end) != '(' {
		return fmt.Errorf("at character %d: new needs a class and its arguments, as in new java.util.Date()", start+1)
	}
	text := construct + "(" + quote(class)
	if t.skipSpace(end+1) != ')' {
		text += ","
	}
	t.opened = append(t.opened, bracket{t.at, ')', ')'})
	t.replace(end+1, text)
	return nil
}

// unquote reads a SpEL string literal at the start of in. The length is 0 when
// it is not closed.
func unquote(in []rune) (literal string, length int) {
	var b strings.Builder
	for i := 1; i < len(in); i++ {
		if in[i] == in[0] {
			if i+1 == len(in) || in[i+1] != in[0] {
				return b.String(), i + 1
			}
			i++
		}
		b.WriteRune(in[i])
	}
	return "", 0
}

// quote writes a string literal of the parser.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", `\r`, "\n", `\n`).Replace(s) + `"`
}
