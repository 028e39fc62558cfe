package expression

import (
	"encoding/json"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// Check returns what is wrong with the expressions in the document's strings and
// keys, all of it at once, with the place in each expression. Whether variables
// exist shows only when an expression is evaluated.
func Check(document json.RawMessage) []delivery.Finding {
	_, problems := rewrite(document, func(text string) (json.RawMessage, []Problem, error) { return nil, inText(text), nil })
	return findings(problems)
}

// inText is what is wrong with a string that contains "${".
func inText(text string) []Problem {
	parts, err := split(text)
	if err != nil {
		return []Problem{{Expression: text, Message: err.Error()}}
	}
	var out []Problem
	for _, p := range parts {
		if p.expression {
			out = append(out, p.check()...)
		}
	}
	return out
}

func (p part) check() []Problem {
	var out []Problem
	_, wrong := inspect(p.text)
	for _, err := range wrong {
		out = append(out, p.problem(err))
	}
	return out
}

// CheckCondition returns what is wrong with a condition, as Evaluate knows it when
// it comes to it. Pointers are empty.
func CheckCondition(condition string) []delivery.Finding {
	if strings.TrimSpace(condition) == "" {
		return nil
	}
	if strings.Contains(condition, "${") {
		return findings(inText(condition))
	}
	return findings(part{text: condition, expression: true}.check())
}
