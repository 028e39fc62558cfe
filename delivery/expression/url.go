package expression

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxURLs is how many reads of URLs one document may ask for.
const maxURLs = 10

// urlFunctions read what a URL has.
var urlFunctions = map[string]func(*run, string) (value, error){
	"fromUrl": func(_ *run, text string) (value, error) { return text, nil },
	"jsonFromUrl": func(_ *run, text string) (value, error) {
		if !json.Valid([]byte(text)) {
			return nil, fmt.Errorf("the answer is not JSON")
		}
		return decode(json.RawMessage(text))
	},
	"yamlFromUrl":       func(_ *run, text string) (value, error) { return readYAML(text) },
	"propertiesFromUrl": func(_ *run, text string) (value, error) { return properties(text) },
}

// ReadsURLs reports whether the document may ask for a URL. It looks for the names of
// the functions, so that a text that speaks of them counts, too.
func ReadsURLs(document json.RawMessage) bool {
	text := string(document)
	for name := range urlFunctions {
		if strings.Contains(text, name) {
			return true
		}
	}
	return false
}

// reading is a function that makes a value of what a URL has.
func reading(name string) method {
	return method{1, 1, func(r *run, _ value, args []value) (value, error) {
		url, err := text(args[0])
		if err != nil {
			return nil, err
		}
		if r.scope.readURL == nil {
			return nil, laterError("URLs are read only when the stage begins")
		}
		if r.urls++; r.urls > maxURLs {
			return nil, fmt.Errorf("the stage reads more than %d URLs", maxURLs)
		}
		began := time.Now()
		body, err := r.scope.readURL(url)
		r.until = r.until.Add(time.Since(began)) // who reads bounds how long it takes
		if err != nil {
			return nil, err
		}
		if err := r.produce(len(body)); err != nil {
			return nil, err
		}
		return urlFunctions[name](r, body)
	}}
}

// properties reads a text in the format of Java's property files. The values are texts.
func properties(text string) (value, error) {
	out := map[string]any{}
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for lines.Scan() {
		line := strings.TrimLeft(lines.Text(), " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		for continued(line) && lines.Scan() {
			line = line[:len(line)-1] + strings.TrimLeft(lines.Text(), " \t\f")
		}
		end := keyEnd(line)
		rest := strings.TrimLeft(line[end:], " \t\f")
		if rest != "" && (rest[0] == '=' || rest[0] == ':') {
			rest = strings.TrimLeft(rest[1:], " \t\f")
		}
		key, err := unescaped(line[:end])
		if err != nil {
			return nil, err
		}
		if out[key], err = unescaped(rest); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

// continued reports whether a line goes on in the next one: it ends with an odd number
// of backslashes.
func continued(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

// keyEnd returns where the key of a line ends.
func keyEnd(line string) int {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '=', ':', ' ', '\t', '\f':
			return i
		}
	}
	return len(line)
}

// unescaped resolves the backslashes of a key or a value.
func unescaped(text string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			if text[i] != '\\' {
				out.WriteByte(text[i])
			}
			continue
		}
		i++
		switch c := text[i]; c {
		case 't', 'n', 'r', 'f':
			out.WriteString(map[byte]string{'t': "\t", 'n': "\n", 'r': "\r", 'f': "\f"}[c])
		case 'u':
			code, err := strconv.ParseUint(text[i+1:min(i+5, len(text))], 16, 16)
			if err != nil || i+5 > len(text) {
				return "", fmt.Errorf("the answer has a wrong \\u in its properties")
			}
			out.WriteRune(rune(code))
			i += 4
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), nil
}
