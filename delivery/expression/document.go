package expression

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// rewriter copies a JSON document and replaces its templates.
type rewriter struct {
	in       *json.Decoder
	out      bytes.Buffer
	path     []string
	problems []Problem
	replace  replacer
}

// replacer returns what stands in place of a text that contains "${", and what is
// wrong with it. Nothing to put in place leaves the text as it is; an error ends the
// copy.
type replacer func(text string) (json.RawMessage, []Problem, error)

// rewrite copies the document and replaces each string value and each key that
// contains "${". The pointers of problems are filled in. There is no copy when it was
// ended.
func rewrite(document json.RawMessage, replace replacer) (json.RawMessage, []Problem) {
	if !json.Valid(document) {
		return nil, []Problem{{Message: "is not JSON"}}
	}
	w := &rewriter{in: json.NewDecoder(bytes.NewReader(document)), replace: replace}
	w.in.UseNumber()
	if err := w.value(); err != nil {
		w.refuse(Problem{Message: err.Error()})
		return nil, w.problems
	}
	return w.out.Bytes(), w.problems
}

func (w *rewriter) refuse(problems ...Problem) {
	pointer := ""
	for _, key := range w.path {
		pointer += "/" + delivery.PointerToken(key)
	}
	for _, p := range problems {
		p.Pointer = pointer
		w.problems = append(w.problems, p)
	}
}

// value copies the next value. The error is for what ends the whole copy.
func (w *rewriter) value() error {
	token, err := w.in.Token()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		return w.container(t)
	case string:
		raw, err := w.text(t)
		w.out.Write(raw)
		return err
	default:
		raw, err := json.Marshal(t)
		w.out.Write(raw)
		return err
	}
}

// text returns what stands for a text.
func (w *rewriter) text(text string) (json.RawMessage, error) {
	if !strings.Contains(text, "${") {
		return encode(text)
	}
	raw, problems, err := w.replace(text)
	w.refuse(problems...)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return encode(text)
	}
	return raw, nil
}

func (w *rewriter) container(open json.Delim) error {
	if len(w.path) >= maxDepth {
		return fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	w.out.WriteString(open.String())
	keys := map[string]bool{}
	for i := 0; w.in.More(); i++ {
		if i > 0 {
			w.out.WriteByte(',')
		}
		w.path = append(w.path, strconv.Itoa(i))
		if open == '{' {
			if err := w.key(keys); err != nil {
				return err
			}
		}
		if err := w.value(); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	end, err := w.in.Token()
	if err != nil {
		return err
	}
	fmt.Fprint(&w.out, end)
	return nil
}

// key copies a key. One that becomes another key of its object stays as it is: one
// of the two values would be lost.
func (w *rewriter) key(known map[string]bool) error {
	token, err := w.in.Token()
	if err != nil {
		return err
	}
	written, _ := token.(string)
	w.path[len(w.path)-1] = written
	key := written
	if strings.Contains(written, "${") {
		raw, err := w.text(written)
		if err != nil {
			return err
		}
		if key, err = keyOf(raw); err != nil {
			w.refuse(Problem{Expression: written, Message: fmt.Sprintf("the key %s: %v", written, err)})
			key = written
		}
	}
	if known[key] && key != written {
		w.refuse(Problem{Expression: written, Message: fmt.Sprintf("the key %s becomes %q, which the object has already", written, key)})
		key = written
	}
	known[key] = true
	raw, err := encode(key)
	w.out.Write(raw)
	w.out.WriteByte(':')
	return err
}

// keyOf is an evaluated key as text.
func keyOf(raw json.RawMessage) (string, error) {
	v, err := decode(raw)
	if err != nil {
		return "", err
	}
	return display(v)
}
