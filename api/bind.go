package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gin-gonic/gin"

	"github.com/slipway-cd/slipway/delivery"
)

// maxDepth bounds how deep a body's JSON may nest.
const maxDepth = 100

// param returns a path parameter, unescaped. checkPath has refused what cannot be.
func param(c *gin.Context, name string) string {
	value, err := url.PathUnescape(c.Param(name))
	if err != nil {
		return c.Param(name)
	}
	return value
}

// checkPath refuses path parameters that no name can be.
func checkPath(c *gin.Context) error {
	for _, p := range c.Params {
		value, err := url.PathUnescape(p.Value)
		if err != nil || !utf8.ValidString(value) || strings.ContainsFunc(value, isControl) {
			return delivery.Errorf(delivery.Invalid, "path parameter %s holds characters that no name has", p.Key)
		}
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// object is a JSON object whose keys are looked at one by one.
type object map[string]json.RawMessage

// bindObject reads the body as a JSON object. An empty body is an empty object
// when it may be absent.
func bindObject(c *gin.Context, mayBeAbsent bool) (object, error) {
	body := bytes.TrimSpace(bodyOf(c))
	if len(body) == 0 {
		if mayBeAbsent {
			return object{}, nil
		}
		return nil, invalid("", "the body is empty; a JSON object is needed")
	}
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	var out object
	if err := json.Unmarshal(body, &out); err != nil || out == nil {
		return nil, invalid("", "the body is not a JSON object")
	}
	return out, nil
}

// text returns the string under key; empty when it is absent or null.
func (o object) text(key string) (string, error) {
	var value *string
	if raw, ok := o[key]; ok {
		if err := json.Unmarshal(raw, &value); err != nil {
			return "", invalid("/"+delivery.PointerToken(key), "must be a string, not "+typeOf(raw))
		}
	}
	if value == nil {
		return "", nil
	}
	return *value, nil
}

// scalar is text that may also be written as a number or a boolean, as Spinnaker takes it.
func (o object) scalar(key string) (string, error) {
	switch raw := o[key]; typeOf(raw) {
	case "a number", "a boolean":
		return string(bytes.TrimSpace(raw)), nil
	default:
		return o.text(key)
	}
}

// flag returns the boolean under key; false when it is absent or null. The texts
// "true" and "false" count, as they do in Spinnaker.
func (o object) flag(key string) (bool, error) {
	switch raw := string(o[key]); raw {
	case "", "null", "false", `"false"`:
		return false, nil
	case "true", `"true"`:
		return true, nil
	default:
		return false, invalid("/"+delivery.PointerToken(key), "must be true or false, not "+typeOf(o[key]))
	}
}

// set puts a value that always encodes.
func (o object) set(key string, value any) {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("encode %s: %v", key, err))
	}
	o[key] = raw
}

// raw returns the object as JSON with its keys sorted.
func (o object) raw() json.RawMessage {
	out, err := json.Marshal(o)
	if err != nil {
		panic(fmt.Sprintf("encode object: %v", err))
	}
	return out
}

// objectOf reads stored JSON that is an object; anything else is an empty one.
func objectOf(raw json.RawMessage) object {
	var out object
	if json.Unmarshal(raw, &out) != nil || out == nil {
		return object{}
	}
	return out
}

func typeOf(raw json.RawMessage) string {
	switch raw = bytes.TrimSpace(raw); {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "a list"
	case raw[0] == '"':
		return "a string"
	case raw[0] == 't' || raw[0] == 'f':
		return "a boolean"
	case raw[0] == 'n':
		return "null"
	default:
		return "a number"
	}
}

// checkJSON refuses malformed JSON, text that is not UTF-8, JSON that nests deeper
// than maxDepth, and objects that have a key twice: two readers could read two
// documents from them. encoding/json lets broken UTF-8 pass, and an answer that
// repeats it breaks clients that do not.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return invalid("", fmt.Sprintf("malformed JSON at byte %d: not UTF-8", validPrefix(body)))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := checkValue(d, "", 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("", fmt.Sprintf("malformed JSON: something follows the document at byte %d", d.InputOffset()))
	}
	return nil
}

// validPrefix returns how many bytes come before the first that is not UTF-8.
func validPrefix(text []byte) int {
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

func checkValue(d *json.Decoder, at string, depth int) error {
	if depth > maxDepth {
		return invalid("", fmt.Sprintf("the JSON nests deeper than %d levels", maxDepth))
	}
	token, err := d.Token()
	if err != nil {
		return malformed(d, err)
	}
	switch token {
	case json.Delim('{'):
		seen := make(map[string]bool)
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return malformed(d, err)
			}
			name, _ := key.(string)
			pointer := at + "/" + delivery.PointerToken(name)
			if seen[name] {
				return invalid(pointer, "the key stands twice in one object")
			}
			seen[name] = true
			if err := checkValue(d, pointer, depth+1); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for i := 0; d.More(); i++ {
			if err := checkValue(d, at+"/"+strconv.Itoa(i), depth+1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	if _, err := d.Token(); err != nil {
		return malformed(d, err)
	}
	return nil
}

func malformed(d *json.Decoder, err error) error {
	text := strings.TrimPrefix(err.Error(), "json: ")
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		text = "unexpected end"
	}
	return invalid("", fmt.Sprintf("malformed JSON at byte %d: %s", d.InputOffset(), text))
}

// query reads query parameters; an empty one counts as absent. What is wrong is
// collected for err.
type query struct {
	values   url.Values
	findings []delivery.Finding
}

func queryOf(c *gin.Context) *query { return &query{values: c.Request.URL.Query()} }

func (q *query) refuse(name, message string) {
	q.findings = append(q.findings, delivery.Finding{Pointer: "?" + name, Message: message})
}

// err returns everything that was wrong, or nil.
func (q *query) err() error {
	return delivery.InvalidError("query parameters are not valid", q.findings)
}

// text returns the one value of a parameter.
func (q *query) text(name string) string {
	given := q.list(name)
	if len(q.values[name]) > 1 && len(given) > 1 {
		q.refuse(name, "is given more than once")
	}
	return strings.TrimSpace(q.values.Get(name))
}

// list returns the values of a parameter that is a comma-separated list or is
// given several times.
func (q *query) list(name string) []string {
	var out []string
	for _, value := range q.values[name] {
		for one := range strings.SplitSeq(value, ",") {
			if one = strings.TrimSpace(one); one != "" {
				out = append(out, one)
			}
		}
	}
	return out
}

// number returns a whole number from 0 to limit.
func (q *query) number(name string, byDefault, limit int) int {
	text := q.text(name)
	if text == "" {
		return byDefault
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > limit {
		q.refuse(name, fmt.Sprintf("must be a whole number from 0 to %d", limit))
		return byDefault
	}
	return n
}

// flag returns a boolean.
func (q *query) flag(name string, byDefault bool) bool {
	switch text := strings.ToLower(q.text(name)); text {
	case "":
		return byDefault
	case "true", "1":
		return true
	case "false", "0":
		return false
	default:
		q.refuse(name, "must be true or false")
		return byDefault
	}
}

// statuses returns the execution statuses of a filter. given is true when there
// is one; it may select nothing, since Spinnaker's clients also name statuses
// that Slipway's executions never have.
func (q *query) statuses(name string) (wanted []delivery.Status, given bool) {
	for _, word := range q.list(name) {
		given = true
		word = strings.ToUpper(word)
		switch word {
		case "SUSPENDED", "BUFFERED", "REDIRECT":
			continue
		}
		status, err := delivery.ParseStatus(word)
		if err != nil {
			q.refuse(name, err.Error())
			continue
		}
		wanted = append(wanted, status)
	}
	return wanted, given
}

// send answers with a status and a JSON body; an empty body has no content type.
func send(c *gin.Context, status int, body []byte) error {
	if len(body) == 0 {
		c.Status(status)
		c.Writer.WriteHeaderNow()
		return nil
	}
	c.Data(status, jsonType, body)
	return nil
}

// render answers with a value as JSON.
func render(c *gin.Context, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return send(c, status, body)
}

// renderVoid answers 200 with an empty body, Spinnaker's "void".
func renderVoid(c *gin.Context) error { return send(c, 200, nil) }
