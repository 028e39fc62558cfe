package expression

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// onText makes a method of a function of texts alone.
func onText[T value](arguments int, f func(of string, args []string) T) method {
	return method{arguments, arguments, func(_ *run, of value, args []value) (value, error) {
		texts := make([]string, len(args))
		for i, a := range args {
			t, err := text(a)
			if err != nil {
				return nil, fmt.Errorf("argument %d: %w", i+1, err)
			}
			texts[i] = t
		}
		return f(of.(string), texts), nil
	}}
}

// textMethods are those of java.lang.String. Places count characters.
var textMethods = map[string]method{
	"toLowerCase":      onText(0, func(of string, _ []string) string { return strings.ToLower(of) }),
	"toUpperCase":      onText(0, func(of string, _ []string) string { return strings.ToUpper(of) }),
	"trim":             onText(0, func(of string, _ []string) string { return strings.TrimSpace(of) }),
	"strip":            onText(0, func(of string, _ []string) string { return strings.TrimSpace(of) }),
	"length":           onText(0, func(of string, _ []string) int64 { return int64(utf8.RuneCountInString(of)) }),
	"isEmpty":          onText(0, func(of string, _ []string) bool { return of == "" }),
	"isBlank":          onText(0, func(of string, _ []string) bool { return strings.TrimSpace(of) == "" }),
	"name":             onText(0, func(of string, _ []string) string { return of }), // of an enum, as statuses are
	"contains":         onText(1, func(of string, args []string) bool { return strings.Contains(of, args[0]) }),
	"startsWith":       onText(1, func(of string, args []string) bool { return strings.HasPrefix(of, args[0]) }),
	"endsWith":         onText(1, func(of string, args []string) bool { return strings.HasSuffix(of, args[0]) }),
	"equalsIgnoreCase": onText(1, func(of string, args []string) bool { return strings.EqualFold(of, args[0]) }),
	"compareTo":        onText(1, func(of string, args []string) int64 { return int64(strings.Compare(of, args[0])) }),
	"concat":           onText(1, func(of string, args []string) string { return of + args[0] }),
	"replace":          onText(2, func(of string, args []string) string { return strings.ReplaceAll(of, args[0], args[1]) }),
	"indexOf":          onText(1, func(of string, args []string) int64 { return place(of, strings.Index(of, args[0])) }),
	"lastIndexOf":      onText(1, func(of string, args []string) int64 { return place(of, strings.LastIndex(of, args[0])) }),
	"substring":        {1, 2, substring},
	"charAt":           {1, 1, charAt},
	"split":            {1, 2, splitText},
	"matches":          {1, 1, func(r *run, of value, args []value) (value, error) { return r.matches(of, args[0]) }},
	"replaceAll":       {2, 2, func(r *run, of value, args []value) (value, error) { return r.replaceText(of, args, -1) }},
	"replaceFirst":     {2, 2, func(r *run, of value, args []value) (value, error) { return r.replaceText(of, args, 1) }},
}

// place turns an offset in bytes into one in characters; -1 stays.
func place(of string, offset int) int64 {
	if offset < 0 {
		return -1
	}
	return int64(utf8.RuneCountInString(of[:offset]))
}

func substring(_ *run, of value, args []value) (value, error) {
	runes := []rune(of.(string))
	from, to := int64(0), int64(len(runes))
	for i, into := range []*int64{&from, &to} {
		if i < len(args) {
			n, ok := args[i].(int64)
			if !ok {
				return nil, fmt.Errorf("argument %d is %s, not a whole number", i+1, kind(args[i]))
			}
			*into = n
		}
	}
	if from < 0 || to > int64(len(runes)) || from > to {
		return nil, fmt.Errorf("%d to %d is not within a text of %d characters", from, to, len(runes))
	}
	return string(runes[from:to]), nil
}

func charAt(r *run, of value, args []value) (value, error) {
	at, ok := args[0].(int64)
	if !ok {
		return nil, fmt.Errorf("argument 1 is %s, not a whole number", kind(args[0]))
	}
	return substring(r, of, []value{at, at + 1})
}

// splitText follows Java's split: by a regular expression, empty texts at the end left out.
func splitText(r *run, of value, args []value) (value, error) {
	by, err := r.pattern(args[0])
	if err == nil {
		err = r.scan(by, of.(string))
	}
	if err != nil {
		return nil, err
	}
	limit := int64(0)
	if len(args) == 2 {
		var ok bool
		if limit, ok = args[1].(int64); !ok {
			return nil, fmt.Errorf("argument 2 is %s, not a whole number", kind(args[1]))
		}
	}
	most := -1
	if limit > 0 && limit < 1<<31 {
		most = int(limit)
	}
	parts := by.re.Split(of.(string), most)
	for limit == 0 && len(parts) > 0 && parts[len(parts)-1] == "" && of != "" {
		parts = parts[:len(parts)-1]
	}
	return texts(parts), nil
}

func texts(parts []string) list {
	out := make(list, len(parts))
	for i, p := range parts {
		out[i] = p
	}
	return out
}

// group is a reference to a group in Java's replacements: $1.
var group = regexp.MustCompile(`\\\$|\$(\d)`)

func (r *run) replaceText(of value, args []value, most int) (value, error) {
	by, err := r.pattern(args[0])
	if err == nil {
		err = r.scan(by, of.(string))
	}
	if err != nil {
		return nil, err
	}
	with, err := text(args[1])
	if err != nil {
		return nil, fmt.Errorf("argument 2: %w", err)
	}
	with = group.ReplaceAllStringFunc(with, func(m string) string {
		if m[0] == '\\' {
			return "$$"
		}
		return "${" + m[1:] + "}"
	})
	in := of.(string)
	var out []byte
	last := 0
	for _, at := range by.re.FindAllStringSubmatchIndex(in, most) {
		out = append(out, in[last:at[0]]...)
		if out = by.re.ExpandString(out, with, in, at); len(out) > maxProduced {
			return nil, fmt.Errorf("the results are larger than %d bytes", maxProduced)
		}
		last = at[1]
	}
	return string(append(out, in[last:]...)), nil
}

// matches reports whether the whole text matches, as in Java.
func (r *run) matches(of, by value) (value, error) {
	if of == nil {
		return false, nil
	}
	t, err := display(of)
	if err != nil {
		return nil, err
	}
	source, err := text(by)
	if err != nil {
		return nil, fmt.Errorf("the pattern: %w", err)
	}
	if _, err := r.pattern(source); err != nil {
		return nil, err
	}
	whole, err := r.pattern(`\A(?:` + source + `)\z`)
	if err != nil {
		return nil, err
	}
	return whole.re.MatchString(t), r.scan(whole, t)
}

// compiled is a regular expression; weight is how much work each
// character can be.
type compiled struct {
	re     *regexp.Regexp
	weight int
}

// pattern compiles a regular expression once per run. Those of Java that go back
// over the text (look-around, references to groups) are refused: they have no bound.
func (r *run) pattern(v value) (compiled, error) {
	source, err := text(v)
	if err != nil {
		return compiled{}, fmt.Errorf("the pattern: %w", err)
	}
	if p, ok := r.patterns[source]; ok {
		return p, nil
	}
	if r.steps += compileSteps; r.steps > maxSteps {
		return compiled{}, r.step()
	}
	p, err := compile(source)
	if err != nil {
		return compiled{}, err
	}
	if r.patterns == nil {
		r.patterns = map[string]compiled{}
	}
	r.patterns[source] = p
	return p, nil
}

func compile(source string) (compiled, error) {
	if len(source) > maxPattern {
		return compiled{}, fmt.Errorf("the pattern is longer than %d bytes", maxPattern)
	}
	parsed, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return compiled{}, fmt.Errorf("the pattern: %w", err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return compiled{}, fmt.Errorf("the pattern: %w", err)
	}
	re, err := regexp.Compile(source)
	if err != nil {
		return compiled{}, fmt.Errorf("the pattern: %w", err)
	}
	return compiled{re: re, weight: 1 + len(program.Inst)/16}, nil
}

// scan counts the work of matching a text.
func (r *run) scan(p compiled, t string) error {
	if r.scanned += len(t) * p.weight; r.scanned > maxScanned {
		r.over = true
		return fmt.Errorf("the document's patterns go over too much text")
	}
	return nil
}

// numberMethods are those of Java's boxed numbers.
var numberMethods = map[string]method{
	"intValue":    {0, 0, wholeOf},
	"longValue":   {0, 0, wholeOf},
	"doubleValue": {0, 0, func(_ *run, of value, _ []value) (value, error) { return toFloat(of) }},
	"compareTo": {1, 1, func(_ *run, of value, args []value) (value, error) {
		less, err := arithmetic("<", of, args[0])
		if err != nil {
			return nil, err
		}
		more, err := arithmetic(">", of, args[0])
		switch {
		case err != nil:
			return nil, err
		case less == true:
			return int64(-1), nil
		case more == true:
			return int64(1), nil
		}
		return int64(0), nil
	}},
}

// wholeOf cuts the fraction off, as Java's intValue does.
func wholeOf(_ *run, of value, _ []value) (value, error) {
	if i, ok := of.(int64); ok {
		return i, nil
	}
	f, _ := asFloat(of)
	i, err := strconv.ParseInt(strconv.FormatFloat(truncated(f), 'f', 0, 64), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%v is out of range", f)
	}
	return i, nil
}
