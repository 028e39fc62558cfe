package expression

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

func TestTemplateVariables(t *testing.T) {
	env := testEnv()
	env.Execution = json.RawMessage(`{"id":"01JD","templateVariables":{"n":3,"image":"${parameters.image}","twice":"${parameters.evil}",
		"all":["${parameters.n}",{"a":"v${parameters.n}"}],"loop":"${templateVariables.n}","broken":"${parameters.absent.x}"}}`)
	for text, want := range map[string]string{
		`${templateVariables.n}`:                `3`,
		`${ templateVariables['image'] }`:       `"storefront-1.1"`,
		`is ${templateVariables.image}`:         `"is storefront-1.1"`,
		`${templateVariables.all}`:              `[3,{"a":"v3"}]`,
		`${templateVariables.all[1].a}`:         `"v3"`,
		`${templateVariables.absent ?: 'none'}`: `"none"`,
		// What somebody gives at a start is a value, never an expression.
		`${templateVariables.twice}`: `"${execution.id}"`,
	} {
		got, err := Evaluate(json.RawMessage(fmt.Sprintf(`{"x":%q}`, text)), env)
		if err != nil || string(got) != `{"x":`+want+`}` {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		`${templateVariables.loop}`:   "cannot be made of another one",
		`${templateVariables.broken}`: "parameters.absent has no value",
	} {
		_, err := Evaluate(json.RawMessage(fmt.Sprintf(`{"x":%q}`, text)), env)
		if delivery.KindOf(err) != delivery.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
