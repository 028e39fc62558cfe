package pipeline

import (
	"strings"
	"time"

	"github.com/slipway-cd/slipway/delivery/jsonpath"
)

// readMonitor reads how a webhook stage waits for the other system.
func readMonitor(o object) *WebhookMonitor {
	m := &WebhookMonitor{
		Where: StatusURLResolution(o.text("statusUrlResolution")), StatusPath: o.jsonPath("statusJsonPath"), ProgressPath: o.jsonPath("progressJsonPath"),
		Success: o.statusWords("successStatuses"), Canceled: o.statusWords("canceledStatuses"), Terminal: o.statusWords("terminalStatuses"),
	}
	switch m.Where {
	case "":
		m.Where = StatusURLSame
	case StatusURLSame, StatusURLFromLocation:
	case StatusURLFromAnswer:
		if o.requiredText("statusUrlJsonPath") != "" {
			if path := o.jsonPath("statusUrlJsonPath"); path != nil {
				m.URLPath = *path
			}
		}
	default:
		o.refuse("statusUrlResolution", "is %q; must be getMethod, locationHeader or webhookResponse", m.Where)
	}
	seconds, _ := o.whole("waitBeforeMonitor")
	m.Before = time.Duration(seconds) * time.Second
	if m.Before < 0 || m.Before > maxWait {
		o.refuse("waitBeforeMonitor", "is %d seconds; must be between 0 and %d", seconds, int(maxWait/time.Second))
	}
	m.check(o)
	return m
}

// check refuses words that nothing could tell apart.
func (m *WebhookMonitor) check(o object) {
	meaning := map[string]string{}
	for _, list := range []struct {
		field string
		words []string
	}{{"successStatuses", m.Success}, {"canceledStatuses", m.Canceled}, {"terminalStatuses", m.Terminal}} {
		if len(list.words) > 0 && !o.given("statusJsonPath") {
			o.refuse("statusJsonPath", "is required: %s says what a status means", list.field)
		}
		for _, word := range list.words {
			if other, ok := meaning[word]; ok && other != list.field {
				o.refuse(list.field, "has %q, which %s has too", word, other)
			}
			meaning[word] = list.field
		}
	}
}

// statusWords reads words that commas separate, in upper case.
func (o object) statusWords(name string) []string {
	var out []string
	for _, word := range strings.Split(o.text(name), ",") {
		if word = strings.ToUpper(strings.TrimSpace(word)); word != "" {
			out = append(out, word)
		}
	}
	return out
}

// jsonPath reads a path into an answer; nil when it is not given or not known yet.
func (o object) jsonPath(name string) *jsonpath.Path {
	text := strings.TrimSpace(o.text(name))
	if text == "" {
		return nil
	}
	path, err := jsonpath.Parse(text)
	if err != nil {
		o.refuse(name, "is no path: %v", err)
		return nil
	}
	return &path
}
