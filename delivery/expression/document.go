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
	findings []delivery.Finding
	replace  func(text string) (json.RawMessage, error)
}

// rewrite copies the document and replaces each string value that contains "${"
// by what replace returns; its errors become findings.
func rewrite(document json.RawMessage, replace func(text string) (json.RawMessage, error)) (json.RawMessage, []delivery.Finding) {
	if !json.Valid(document) {
		return nil, []delivery.Finding{{Message: "is not JSON"}}
	}
	w := &rewriter{in: json.NewDecoder(bytes.NewReader(document)), replace: replace}
	w.in.UseNumber()
	if err := w.value(); err != nil {
		w.refuse(err)
	}
	return w.out.Bytes(), w.findings
}

func (w *rewriter) refuse(err error) {
	pointer := ""
	for _, key := range w.path {
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	}
	w.findings = append(w.findings, delivery.Finding{Pointer: pointer, Message: err.Error()})
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
		return w.text(t)
	default:
		raw, err := json.Marshal(t)
		w.out.Write(raw)
		return err
	}
}

func (w *rewriter) text(text string) error {
	if !strings.Contains(text, "${") {
		raw, err := encode(text)
		w.out.Write(raw)
		return err
	}
	raw, err := w.replace(text)
	if err != nil {
		w.refuse(err)
		return nil
	}
	w.out.Write(raw)
	return nil
}

func (w *rewriter) container(open json.Delim) error {
	if len(w.path) >= maxDepth {
		return fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	w.out.WriteString(open.String())
	for i := 0; w.in.More(); i++ {
		if i > 0 {
			w.out.WriteByte(',')
		}
		key := strconv.Itoa(i)
		if open == '{' {
			token, err := w.in.Token()
			if err != nil {
				return err
			}
			key, _ = token.(string)
			raw, err := encode(key)
			if err != nil {
				return err
			}
			w.out.Write(raw)
			w.out.WriteByte(':')
		}
		w.path = append(w.path, key)
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
