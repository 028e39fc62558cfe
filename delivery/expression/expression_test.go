package expression

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

func testEnv() Env {
	return Env{
		Parameters: json.RawMessage(`{"image":"storefront-1.1","n":3,"half":0.5,"flag":"true","empty":"","none":null,
			"list":[1,"b",[2]],"map":{"a.b":{"c":"deep"}},"digits":"007","evil":"${execution.id}","big":12345678901234}`),
		Trigger:   json.RawMessage(`{"user":"joe","parameters":{"x":"y"},"artifacts":[{"reference":"r0"}]}`),
		Execution: json.RawMessage(`{"id":"01JD","application":"storefront"}`),
		Outputs: []json.RawMessage{
			json.RawMessage(`{"version":"near","parameters":"hidden"}`), nil,
			json.RawMessage(`{"version":"far","region":"us-east-1"}`),
		},
	}
}

func TestEvaluate(t *testing.T) {
	tests := []struct{ text, want string }{
		{`plain`, `"plain"`},
		{`${parameters.image}`, `"storefront-1.1"`},
		{`${ parameters['image'] }`, `"storefront-1.1"`},
		{`${parameters["image"]}`, `"storefront-1.1"`},
		{`${trigger.parameters.x}`, `"y"`},
		{`${trigger['artifacts'][0]['reference']}`, `"r0"`},
		{`${parameters.map['a.b'].c}`, `"deep"`},
		{`${execution.id}`, `"01JD"`},
		{`${version}-${region}`, `"near-us-east-1"`},
		{`${parameters.n}`, `3`},
		{`${parameters.half}`, `0.5`},
		{`${parameters.list}`, `[1,"b",[2]]`},
		{`${parameters.map}`, `{"a.b":{"c":"deep"}}`},
		{`v${parameters.n}`, `"v3"`},
		{`${parameters.big} ${parameters.half} ${true} ${parameters.list} ${parameters.map}`, `"12345678901234 0.5 true 1,b,[2] {\"a.b\":{\"c\":\"deep\"}}"`},
		{`app-${parameters.image}-${execution.id}`, `"app-storefront-1.1-01JD"`},
		{`${'v' + parameters.n}`, `"v3"`},
		{`${1 + 2 * 3}`, `7`},
		{`${7 / 2}`, `3`},
		{`${7.0 / 2}`, `3.5`},
		{`${7 % 4 - 1}`, `2`},
		{`${-parameters.n + 1}`, `-2`},
		{`${parameters.none ?: 'default'}`, `"default"`},
		{`${parameters.absent ?: 'default'}`, `"default"`},
		{`${parameters.empty ?: 'default'}`, `"default"`},
		{`${unknown ?: 'default'}`, `"default"`},
		{`${parameters.n ?: 'default'}`, `3`},
		{`${parameters.absent ?: parameters.none ?: 4}`, `4`},
		{`${#toInt(parameters.digits ?: 3)}`, `7`},
		{`${#toInt(parameters.absent ?: 3)}`, `3`},
		{`${#toFloat('2.5')}`, `2.5`},
		{`${#toBoolean(parameters.flag)}`, `true`},
		{`${#alphanumerical('feature/x-1')}`, `"featurex1"`},
		{`${#fromBase64(#toBase64('hi'))}`, `"hi"`},
		{`${#readJson('{"a":[1,2]}')['a'][1]}`, `2`},
		{`${#toJson(#doNotEval(parameters.evil))}`, `"\"${execution.id}\""`},
		{`${#toJson(parameters.list)}`, `"[1,\"b\",[2]]"`},
		{`${parameters.n == 3 ? 'a' : 'b'}`, `"a"`},
		{`${parameters.flag ? 'a' : 'b'}`, `"a"`},
		{`${parameters.flag && !(parameters.n > 5) and not false}`, `true`},
		{`${parameters.n < 3 || parameters.image == 'storefront-1.1'}`, `true`},
		{`${false or parameters.n >= 3.0}`, `true`},
		{`${'a' < 'b' && 2 <= 2}`, `true`},
		{`${parameters.none == null}`, `true`},
		{`${unknown == null}`, `true`},
		{`${parameters.n == 3.0}`, `true`},
		{`${parameters.n == '3'}`, `false`},
		{`${parameters.list == [1,'b',[2]]}`, `true`},
		{`${parameters.map != trigger}`, `true`},
		{`${parameters.absent?.deeper ?: 'd'}`, `"d"`},
		{`${false ? unknown : 'lazy'}`, `"lazy"`},
		{`${'it''s "\n" ''quoted'''}`, `"it's \"\\n\" 'quoted'"`},
		{`${"say ""hi"""}`, `"say \"hi\""`},
		{`${'${X}'}`, `"${X}"`},
		{`${'}'}{}`, `"}{}"`},
		{`${parameters.evil}`, `"${execution.id}"`},
		{`<${'&'}>`, `"<&>"`},
		{`$ {x} $$`, `"$ {x} $$"`},
		{`${'é' + '世'}`, `"é世"`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			document, err := json.Marshal(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Evaluate(document, testEnv())
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestEvaluateRefuses(t *testing.T) {
	tests := []struct{ text, want string }{
		{`${imagee}`, `${imagee}: there is no variable imagee`},
		{`x-${parameters.imagee}`, `${parameters.imagee}: has no value`},
		{`${parameters.absent.deeper}`, `${parameters.absent.deeper}: parameters.absent has no value, so deeper cannot be read`},
		{`${parameters.image.deeper}`, `${parameters.image.deeper}: parameters.image is a string, so deeper cannot be read`},
		{`${parameters.list[9]}`, `${parameters.list[9]}: parameters.list has 3 elements, none has the number 9`},
		{`${parameters.list['a']}`, `${parameters.list['a']}: parameters.list is a list; its elements have numbers, not a string`},
		{`${'v' + parameters.none}`, `${'v' + parameters.none}: the right side of +: has no value`},
		{`${1 / 0}`, `${1 / 0}: 1 / 0 is no number`},
		{`${1.0 / 0}`, `${1.0 / 0}: 1 / 0 is no number`},
		{`${9223372036854775807 + 1}`, `${9223372036854775807 + 1}: 9223372036854775807 + 1 is too large`},
		{`${parameters.image - 1}`, `${parameters.image - 1}: a string - a number: not two numbers`},
		{`${parameters.n ? 1 : 2}`, `${parameters.n ? 1 : 2}: a number is no condition`},
		{`${#toInt('x')}`, `${#toInt('x')}: #toInt: "x" is no whole number`},
		{`${#toJson(parameters.evil)}`, `${#toJson(parameters.evil)}: #toJson: the value contains ${, which could be taken for an expression; #toJson(#doNotEval(...)) allows it`},
		{`${#readJson('{')}`, `${#readJson('{')}: #readJson: the text is not JSON`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			document, err := json.Marshal([]string{tt.text})
			if err != nil {
				t.Fatal(err)
			}
			if findings := Check(document); len(findings) != 0 {
				t.Errorf("Check finds %v", findings)
			}
			got, err := Evaluate(document, testEnv())
			if got != nil || delivery.KindOf(err) != delivery.Invalid {
				t.Errorf("got %s, error %v", got, err)
			}
			if diff := cmp.Diff([]delivery.Finding{{Pointer: "/0", Message: tt.want}}, delivery.FindingsOf(err)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

const knownClasses = "java.lang.Boolean, java.time.temporal.ChronoUnit, java.util.Date, java.time.format.DateTimeFormatter, java.lang.Double, java.time.Instant, java.lang.Integer, java.util.List, java.time.LocalDate, " +
	"java.time.LocalDateTime, java.lang.Long, java.util.Map, java.lang.Math, java.lang.Number, java.text.SimpleDateFormat, java.lang.String, java.net.URLEncoder, java.util.UUID"

const knownFunctions = "#alphanumerical, #applicationMetadata, #currentStage, #currentUser, #deployedServerGroups, #doNotEval, #fromBase64, #fromUrl, #jsonFromUrl, #judgement, #judgment, #pipelineId, #pipelineIdInApplication, #pipelineIdOrNull, #propertiesFromUrl, " +
	"#readAllYaml, #readJson, #readYaml, #resolvedArtifacts, #stage, #stageByRefId, #stageExists, #toBase64, #toBoolean, #toFloat, #toInt, #toJson, #triggerResolvedArtifact, #triggerResolvedArtifactByType, #yamlFromUrl"

func TestCheck(t *testing.T) {
	tests := []struct{ text, want string }{
		{`${`, `${}: the closing } is missing`},
		{`a ${'}`, `${'}}: the closing } is missing`},
		{`${ }`, `${ }: the expression is empty`},
		{`${1 +}`, `${1 +}: at character 3: unexpected token EOF`},
		{`${'é' + 'a}`, `${'é' + 'a}}: the closing } is missing`},
		{`${#nope(1)}`, `${#nope(1)}: at character 2: there is no function #nope; known are ` + knownFunctions},
		{`${#toInnt(1)}`, `${#toInnt(1)}: at character 2: there is no function #toInnt; did you mean #toInt?`},
		{`${#toInt(1, 2)}`, `${#toInt(1, 2)}: at character 2: #toInt takes one argument, not 2`},
		{`${len('a')}`, `${len('a')}: at character 1: there is no function #len; known are ` + knownFunctions},
		{`${filter(parameters, true)}`, `${filter(parameters, true)}: at character 1: there is no function #filter`},
		{`${parameters.x.splitt(',')}`, `${parameters.x.splitt(',')}: at character 14: there is no method splitt; did you mean split?`},
		{`${parameters.x.tolowercase()}`, `${parameters.x.tolowercase()}: at character 14: there is no method tolowercase; it is written toLowerCase`},
		{`${parameters.x.getClass()}`, `${parameters.x.getClass()}: at character 14: there is no method getClass`},
		{`${parameters.x.substring(1, 2, 3)}`, `${parameters.x.substring(1, 2, 3)}: at character 14: the method substring does not take 3 arguments`},
		{`${new java.io.File('/x')}`, `${new java.io.File('/x')}: at character 1: the class java.io.File cannot be used; known are ` + knownClasses},
		{`${T(java.lang.Runtime)}`, `${T(java.lang.Runtime)}: at character 1: the class java.lang.Runtime cannot be used; known are ` + knownClasses},
		{`${new java.lang.Math()}`, `${new java.lang.Math()}: at character 1: new java.lang.Math cannot be made; java.lang.Math has static methods`},
		{`${x.?[}`, `${x.?[}: at character 2: this is not closed by ']'`},
		{`${x.?[a)}`, `${x.?[a)}: at character 6: unexpected ')'`},
		{`${'abc' matches '('}`, `${'abc' matches '('}: at character 7: the pattern: error parsing regexp: missing closing ): ` + "`(`"},
		{`${1 in {1}}`, `${1 in {1}}: at character 3: in is not supported`},
		{`${x = 1}`, `${x = 1}: at character 3: unexpected token Operator("=")`},
		{`${$env}`, `${$env}: at character 1: unexpected '$'`},
		{`${#fetchReference('x')}`, `${#fetchReference('x')}: at character 2: #fetchReference is not served: expressions read no artifacts; let a webhook stage fetch it`},
		{`${1..1000000}`, `${1..1000000}: at character 2: the operator .. is not supported`},
		{`${let a = 1; a}`, `${let a = 1; a}: at character 1: let is not supported`},
		{`${1; 2}`, `${1; 2}: at character 2: unexpected ';'`},
		{"${`raw`}", "${`raw`}: at character 1: unexpected '`'"},
		{`${'\' + #}`, `${'\' + #}: at character 7: unexpected '#'`},
		{`${'aa''a' + }`, `${'aa''a' + }: at character 10: unexpected token EOF`},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			document, err := json.Marshal(struct {
				Key string `json:"a/b~"`
			}{tt.text})
			if err != nil {
				t.Fatal(err)
			}
			want := []delivery.Finding{{Pointer: "/a~1b~0", Message: tt.want}}
			if diff := cmp.Diff(want, Check(document)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if _, err := Evaluate(document, testEnv()); delivery.KindOf(err) != delivery.Invalid {
				t.Errorf("Evaluate: %v", err)
			}
		})
	}
}

func TestEvaluateKeepsTheRestOfTheDocument(t *testing.T) {
	in := `{"z":1.50,"a":[true,null,"x<y",{"k":"${parameters.n}"}],"big":12345678901234567890,"e":{},"l":[]}`
	want := `{"z":1.50,"a":[true,null,"x<y",{"k":3}],"big":12345678901234567890,"e":{},"l":[]}`
	got, err := Evaluate(json.RawMessage(in), testEnv())
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

func TestKeysAreEvaluated(t *testing.T) {
	in := `{"a":{"${parameters.image}":1,"v${parameters.n}":{"${parameters.n}":"${parameters.n}"}}}`
	want := `{"a":{"storefront-1.1":1,"v3":{"3":3}}}`
	got, err := Evaluate(json.RawMessage(in), testEnv())
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
	in = `{"a":{"3":0,"${parameters.n}":1,"${none}":2,"x${1 / 0}":3}}`
	got, problems := EvaluateAll(json.RawMessage(in), testEnv())
	if string(got) != in {
		t.Errorf("got %s, want it as it was", got)
	}
	wrong := []Problem{
		{Pointer: "/a/${parameters.n}", Expression: "${parameters.n}", Message: `the key ${parameters.n} becomes "3", which the object has already`},
		{Pointer: "/a/${none}", Expression: "none", Message: "${none}: there is no variable none", Absent: true, Whole: true},
		{Pointer: "/a/x${1 ~1 0}", Expression: "1 / 0", Message: "${1 / 0}: 1 / 0 is no number"},
	}
	if diff := cmp.Diff(wrong, problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// What Spinnaker leaves in place: the part without a value, and the whole string
// around one that fails.
func TestEvaluateAllLeavesInPlace(t *testing.T) {
	in := `["${none} of ${parameters.n}","${parameters.n} and ${1 / 0} and ${parameters.absent}","${parameters.absent}","${#stage('Z').status}","${parameters.n}"]`
	want := `["${none} of 3","${parameters.n} and ${1 / 0} and ${parameters.absent}","${parameters.absent}","${#stage('Z').status}",3]`
	got, problems := EvaluateAll(json.RawMessage(in), testEnv())
	if string(got) != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	at := time.UnixMilli(1_795_000_000_000)
	exception := "SpelEvaluationException"
	summary := pipeline.EvaluationSummary{
		"none":               {{Level: "INFO", Description: "${none}: there is no variable none", Timestamp: at.UnixMilli()}},
		"1 / 0":              {{Level: "ERROR", Description: "${1 / 0}: 1 / 0 is no number", ExceptionType: &exception, Timestamp: at.UnixMilli()}},
		"#stage('Z').status": {{Level: "ERROR", Description: "${#stage('Z').status}: #stage: the stages of the execution are known only when the stage begins", ExceptionType: &exception, Timestamp: at.UnixMilli()}},
		"parameters.absent": {
			{Level: "INFO", Description: "${parameters.absent}: has no value", Timestamp: at.UnixMilli()},
			{Level: "INFO", Description: "${parameters.absent}: has no value", Timestamp: at.UnixMilli()},
		},
	}
	if diff := cmp.Diff(summary, SummaryOf(problems, at)); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestCheckFindsAllAtOnce(t *testing.T) {
	document := `{"a":"${#toInnt(1)} ${new java.io.File('x').splitt(1)} ${1 +}","${2 +}":{"b":["${ok}","${x."]}}`
	want := []delivery.Finding{
		{Pointer: "/a", Message: "${#toInnt(1)}: at character 2: there is no function #toInnt; did you mean #toInt?"},
		{Pointer: "/a", Message: "${new java.io.File('x').splitt(1)}: at character 1: the class java.io.File cannot be used; known are " + knownClasses},
		{Pointer: "/a", Message: "${new java.io.File('x').splitt(1)}: at character 23: there is no method splitt; did you mean split?"},
		{Pointer: "/a", Message: "${1 +}: at character 3: unexpected token EOF"},
		{Pointer: "/${2 +}", Message: "${2 +}: at character 3: unexpected token EOF"},
		{Pointer: "/${2 +}/b/1", Message: "${x.}: the closing } is missing"},
	}
	if diff := cmp.Diff(want, Check(json.RawMessage(document))); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestConditions(t *testing.T) {
	for condition, want := range map[string]string{
		"parameters.n == 3": "true", "${parameters.n == 3}": "true", "parameters.flag": "true", " ${parameters.n > 3} ": "false", "${true} ${true}": "is neither true nor false",
		"parameters.n > 3": "false", "parameters.n": "3 is neither true nor false", "none": "there is no variable none", "parameters.n >": "unexpected token EOF",
		"'${none}' == '${none}'": "there is no variable none",
	} {
		got, err := Condition(condition, testEnv())
		switch {
		case err == nil && fmt.Sprint(got) != want:
			t.Errorf("%s: %v, want %s", condition, got, want)
		case err != nil && (delivery.KindOf(err) != delivery.Invalid || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", condition, err, want)
		}
	}
	for condition, wrong := range map[string]int{"": 0, " ": 0, "a == 'b'": 0, "${a == 'b'}": 0, "a ==": 1, "${a ==}": 1, "#nope(1) && #neither(2)": 2} {
		if got := CheckCondition(condition); len(got) != wrong {
			t.Errorf("%q: %v, want %d findings", condition, got, wrong)
		}
	}
}

func TestEvaluateNamesEveryFailure(t *testing.T) {
	_, err := Evaluate(json.RawMessage(`{"a":"${x}","b":["${parameters.n}",{"c":"${y}"}]}`), testEnv())
	want := []delivery.Finding{
		{Pointer: "/a", Message: "${x}: there is no variable x"},
		{Pointer: "/b/1/c", Message: "${y}: there is no variable y"},
	}
	if diff := cmp.Diff(want, delivery.FindingsOf(err)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestEvaluateRefusesDocuments(t *testing.T) {
	for document, want := range map[string]string{
		``:    "is not JSON",
		`{`:   "is not JSON",
		`1 2`: "is not JSON",
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1): "is nested deeper than 200",
	} {
		if _, err := Evaluate(json.RawMessage(document), Env{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Evaluate(%.20s): %v, want %s", document, err, want)
		}
	}
}

// What an expression costs is bounded, whatever its shape.
func TestBounds(t *testing.T) {
	env := testEnv()
	long, err := json.Marshal(strings.Repeat("x", 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	env.Parameters = json.RawMessage(fmt.Sprintf(`{"long":%s,"one":1,"ones":[%s1]}`, long, strings.Repeat("1,", 9999)))
	chain, elvis := "0", "parameters.none"
	for range 60 {
		chain = "0 < (" + chain + ") < 1"
		elvis = "(" + elvis + " ?: parameters.none)"
	}
	tests := map[string]struct{ expression, want string }{
		"long source":          {"1" + strings.Repeat(" ", maxSource), "is longer than"},
		"many nodes":           {"1" + strings.Repeat("+1", maxNodes), "maximum allowed nodes"},
		"large text":           {"parameters.long" + strings.Repeat("+parameters.long", 20), "the results are larger than"},
		"large JSON":           {"'a'" + strings.Repeat("+#toJson(parameters)", 20), "the results are larger than"},
		"large list":           {"{" + strings.Repeat("parameters.long,", 300) + "1}", "the results are larger than"},
		"large text of a list": {"'' + {" + strings.Repeat("parameters.long,", 300) + "1}", "the results are larger than"},
		"large record":         {"#toJson({a:{" + strings.Repeat("parameters.long,", 300) + "1}})", "the results are larger than"},
		"aliases of a text":    {"#readYaml('a: &a ' + parameters.ones.toString().substring(0,19000) + ' x\nb: [*a" + strings.Repeat(",*a", 1900) + "]')", "the results are larger than"},
		"shared nodes":         {chain, "is too large"},
		"nested Elvis":         {elvis, "has no value"},
		"deep parentheses":     {strings.Repeat("(", 4000) + "1" + strings.Repeat(")", 4000) + "+x", "there is no variable x"},
		"pattern in a loop":    {"{" + strings.Repeat("1,", 900) + "1}.![#root.parameters.long.matches('.*y.*')]", "go over too much text"},
		"heavy pattern":        {"parameters.long.matches('(x{90}){1,9}y?.*')", "go over too much text"},
		"many patterns":        {"#readJson('[" + numbers(1500) + "]').?[('a' + #this).matches('b' + #this)]", "steps"},
		"search in a loop":     {"{" + strings.Repeat("1,", 900) + "1}.![#root.parameters.long.contains('y')]", "steps"},
		"comparison in a loop": {"{" + strings.Repeat("1,", 900) + "1}.![#root.parameters.long == #root.parameters.long + 'y']", "the results are larger than"},
		"nested projections":   {"#readJson('[" + strings.Repeat("1,", 400) + "1]').![#root.parameters.ones.![#root.parameters.ones.![1]]]", "steps"},
		"keys in a loop":       {"{" + strings.Repeat("1,", 900) + "1}.![#root.parameters.ones.toString().split('')]", "the results are larger than"},
		"deep JSON":            {"#readJson('" + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + "')", "JSON is nested deeper"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			document, err := json.Marshal("${" + tt.expression + "}")
			if err != nil {
				t.Fatal(err)
			}
			r := newRun(env)
			r.until = r.until.Add(time.Hour) // the bound on time is for busy machines, such as this one may be
			_, problems := r.document(document)
			if told := fmt.Sprint(problems); len(problems) == 0 || !strings.Contains(told, tt.want) {
				t.Errorf("problems %.300s, want %s", told, tt.want)
			}
		})
	}
}

// numbers lists those below n.
func numbers(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(i)
	}
	return strings.Join(out, ",")
}

func TestYAML(t *testing.T) {
	env := testEnv()
	for source, want := range map[string]string{
		"a: 1\nb: [x, 2.5, true, null]\n":                   `{"a":1,"b":["x",2.5,true,null]}`,
		"base: &b {x: 1, y: 2}\nof: {<<: *b, y: 3}\n2: two": `{"2":"two","base":{"x":1,"y":2},"of":{"x":1,"y":3}}`,
		"when: 2026-01-02\nhex: 0x10\nnot: .nan":            `{"hex":16,"not":".nan","when":"2026-01-02"}`,
		"first: 1\n---\nsecond: 2\n":                        `{"first":1}`,
	} {
		env.Parameters = encodedParameters(t, source)
		got, err := Evaluate(json.RawMessage(`"${#readYaml(parameters.x)}"`), env)
		if err != nil || string(got) != want {
			t.Errorf("%q: %s, %v, want %s", source, got, err, want)
		}
	}
	env.Parameters = encodedParameters(t, "first: 1\n---\nsecond: 2\n")
	if got, err := Evaluate(json.RawMessage(`"${#readAllYaml(parameters.x).![#this.size()]}"`), env); err != nil || string(got) != "[1,1]" {
		t.Errorf("all documents: %s, %v", got, err)
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for source, want := range map[string]string{
		"a: [1":                        "#readYaml: the text is not YAML",
		bomb:                           "more than 20000 values",
		strings.Repeat("x", maxYAML+1): "the text is larger than",
		strings.Repeat("[", 300) + strings.Repeat("]", 300): "is nested deeper than 200",
	} {
		env.Parameters = encodedParameters(t, source)
		if got, err := Evaluate(json.RawMessage(`"${#readYaml(parameters.x)}"`), env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %.100s, %v, want %s", source, got, err, want)
		}
	}
}

func encodedParameters(t *testing.T, x string) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(map[string]string{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestStepsAreBoundedOverTheDocument(t *testing.T) {
	texts := make([]string, maxSteps/3)
	for i := range texts {
		texts[i] = "${parameters.n}"
	}
	document, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate(document, testEnv()); err != nil {
		t.Fatal(err)
	}
	document, err = json.Marshal(append(texts, "${parameters.n}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Evaluate(document, testEnv()); err == nil || !strings.Contains(err.Error(), "steps") {
		t.Errorf("error is %v", err)
	}
}

// Whatever a parameter holds, its evaluation is that value and nothing else.
func TestParametersAreData(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[${}'"\\#a-c]{0,12}`)).Draw(t, "text")
		parameters, err := json.Marshal(struct {
			X string `json:"x"`
		}{text})
		if err != nil {
			t.Fatal(err)
		}
		out, err := Evaluate(json.RawMessage(`["${parameters.x}","<${parameters.x}>"]`), Env{Parameters: parameters})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{text, "<" + text + ">"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Any text, written as a SpEL literal, evaluates to itself.
func TestLiterals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		quote := rapid.SampledFrom([]string{"'", `"`}).Draw(t, "quote")
		literal := quote + strings.ReplaceAll(text, quote, quote+quote) + quote
		document, err := json.Marshal("${" + literal + "}")
		if err != nil {
			t.Fatal(err)
		}
		out, err := Evaluate(document, Env{})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal(out, &got); err != nil || got != text {
			t.Errorf("got %q, %v, want %q", got, err, text)
		}
	})
}

func FuzzEvaluate(f *testing.F) {
	for _, seed := range []string{"parameters.image", "#toInt(parameters['n'] ?: 3)", "a ? b : c", "'it''s' + 1", "x.?[a == 1].![b]", "{1,2}", "1 < 2 < 3", "parameters.list.?[#this matches 'b.*'].![toString()]", "{a: 1, 'b': {2}}.keySet()", "T(String).format('%5s|%d', 'a', 1)", "new java.text.SimpleDateFormat('yyyy').format(new java.util.Date())", "T(java.time.LocalDate).now().plusDays(5)", "'a,b'.split(',')[0].replaceAll('(a)', '$1$1')", "#stage('A').outputs.k", "3 between {1,5}", "x instanceof T(String)", "execution.stages.![#root.execution.stages.![name]]", "'}'", "not in", "b'x'", "::a()", "#readYaml('a: &x [1]\nb: *x').b", "#pipelineId('p')", "#toJson(#doNotEval(trigger))", "} ${", "a} ${b", "#resolvedArtifacts().![name]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		document, err := json.Marshal([]any{"${" + source + "}", "a ${" + source + "} b", map[string]int{"${" + source + "}": 1}})
		if err != nil {
			t.Fatal(err)
		}
		findings := Check(document)
		r := newRun(shapesEnv())
		began := time.Now()
		out, problems := r.document(document)
		if took := time.Since(began); took > maxTime+time.Second {
			t.Errorf("%q takes %s", source, took)
		}
		if r.steps > maxSteps+maxProduced/stepBytes || r.produced > 2*maxProduced || len(out) > len(document)+maxProduced {
			t.Errorf("%q takes %d steps, produces %d bytes, results in %d", source, r.steps, r.produced, len(out))
		}
		if len(findings) > 0 && len(problems) == 0 {
			t.Errorf("Check refuses %q, Evaluate gives %s", source, out)
		}
		if out != nil && !json.Valid(out) {
			t.Errorf("%q gives %q, which is not JSON", source, out)
		}
	})
}

func ExampleEvaluate() {
	out, err := Evaluate(
		json.RawMessage(`{"amiName":"${parameters.image}","capacity":{"desired":"${#toInt(parameters.size ?: '3')}"}}`),
		Env{Parameters: json.RawMessage(`{"image":"storefront-1.1"}`)})
	fmt.Println(string(out), err)
	// Output: {"amiName":"storefront-1.1","capacity":{"desired":3}} <nil>
}
