package expression

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// functions are Spinnaker's helper functions.
var functions = map[string]method{
	"toInt":          static(toInt),
	"toFloat":        static(toFloat),
	"toBoolean":      static(toBoolean),
	"toJson":         static(toJSON),
	"readJson":       static(readJSON),
	"readYaml":       static(readYAML),
	"readAllYaml":    static(readAllYAML),
	"toBase64":       static(toBase64),
	"fromBase64":     static(fromBase64),
	"alphanumerical": static(alphanumerical),
	// What an expression yields is never evaluated again.
	"doNotEval": static(func(v value) (value, error) { return v, nil }),

	"stage":                         {1, 1, (*run).stage},
	"stageByRefId":                  {1, 1, (*run).stageByRefID},
	"stageExists":                   {1, 1, (*run).stageExists},
	"currentStage":                  {0, 0, (*run).currentStage},
	"judgment":                      {1, 1, (*run).judgment},
	"judgement":                     {1, 1, (*run).judgment},
	"currentUser":                   {0, 0, (*run).currentUser},
	"deployedServerGroups":          {0, -1, (*run).deployedServerGroups},
	"triggerResolvedArtifact":       {1, 1, (*run).artifactByName},
	"triggerResolvedArtifactByType": {1, 1, (*run).artifactByType},
	"resolvedArtifacts":             {0, 1, (*run).resolvedArtifacts},

	"pipelineId":              {1, 1, (*run).pipelineID},
	"pipelineIdOrNull":        {1, 1, (*run).pipelineIDOrNull},
	"pipelineIdInApplication": {2, 2, (*run).pipelineIDIn},
	"applicationMetadata":     {0, 1, (*run).applicationMetadata},

	"fromUrl":           reading("fromUrl"),
	"jsonFromUrl":       reading("jsonFromUrl"),
	"propertiesFromUrl": reading("propertiesFromUrl"),
	"yamlFromUrl":       reading("yamlFromUrl"),
}

// unserved are functions of Spinnaker's that are refused, with the reason.
var unserved = map[string]string{
	"fetchReference":       "expressions read no artifacts; let a webhook stage fetch it",
	"canaryConfigNameToId": "no stage takes the id of a canary configuration",
	"manifestLabelValue":   "no stage deploys Kubernetes manifests", "cfServiceKey": "no stage deploys to Cloud Foundry",
}

// checkCall refuses an unknown function and a wrong number of arguments.
func checkCall(name string, arguments int) error {
	f, ok := functions[name]
	switch {
	case unserved[name] != "":
		return fmt.Errorf("#%s is not served: %s", name, unserved[name])
	case !ok:
		return unknownFunction(name)
	case f.takes(arguments):
		return nil
	case f.min == f.max && f.min == 1:
		return fmt.Errorf("#%s takes one argument, not %d", name, arguments)
	default:
		return fmt.Errorf("#%s does not take %d arguments", name, arguments)
	}
}

func unknownFunction(name string) error {
	known := slices.Sorted(maps.Keys(functions))
	if near := delivery.Nearest(name, known); len(near) > 0 {
		return fmt.Errorf("there is no function #%s; did you mean #%s?", name, strings.Join(near[:min(len(near), 3)], " or #"))
	}
	return fmt.Errorf("there is no function #%s; known are #%s", name, strings.Join(known, ", #"))
}

func (r *run) function(name string, args []value) (value, error) {
	if err := checkCall(name, len(args)); err != nil {
		return nil, err
	}
	v, err := functions[name].call(r, nil, args)
	if err != nil {
		return nil, fmt.Errorf("#%s: %w", name, err)
	}
	return v, nil
}

func toInt(v value) (value, error) {
	switch t := v.(type) {
	case int64:
		return t, nil
	case float64:
		if t == math.Trunc(t) && math.Abs(t) < 1<<53 {
			return int64(t), nil
		}
	case string:
		if i, err := strconv.ParseInt(strings.TrimSpace(t), 10, 64); err == nil {
			return i, nil
		}
		return nil, fmt.Errorf("%q is no whole number", t)
	}
	return nil, fmt.Errorf("%s is no whole number", kind(v))
}

func toFloat(v value) (value, error) {
	if f, ok := asFloat(v); ok {
		return f, nil
	}
	if t, ok := v.(string); ok {
		if f, err := strconv.ParseFloat(strings.TrimSpace(t), 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f, nil
		}
		return nil, fmt.Errorf("%q is no number", t)
	}
	return nil, fmt.Errorf("%s is no number", kind(v))
}

// toBoolean follows Java's parseBoolean: every text but "true" is false.
func toBoolean(v value) (value, error) {
	switch t := v.(type) {
	case bool:
		return t, nil
	case string:
		return strings.EqualFold(t, "true"), nil
	default:
		return nil, fmt.Errorf("%s is no boolean", kind(v))
	}
}

// toJSON refuses a result with "${", as Spinnaker does: whoever reads it later could
// take it for an expression.
func toJSON(v value) (value, error) {
	raw, err := asJSON(v)
	if t, ok := raw.(string); ok && strings.Contains(t, "${") {
		return nil, fmt.Errorf("the value contains ${, which could be taken for an expression; #toJson(#doNotEval(...)) allows it")
	}
	return raw, err
}

func asJSON(v value) (value, error) {
	raw, err := encode(v)
	return string(raw), err
}

func readJSON(v value) (value, error) {
	t, err := text(v)
	if err != nil {
		return nil, err
	}
	if !json.Valid([]byte(t)) {
		return nil, fmt.Errorf("the text is not JSON")
	}
	return decode(json.RawMessage(t))
}

func toBase64(v value) (value, error) {
	t, err := text(v)
	return base64.StdEncoding.EncodeToString([]byte(t)), err
}

func fromBase64(v value) (value, error) {
	t, err := text(v)
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(t)
	if err != nil {
		return nil, fmt.Errorf("the text is not base64")
	}
	return string(raw), nil
}

// alphanumerical keeps only A-Z, a-z and 0-9.
func alphanumerical(v value) (value, error) {
	t, err := text(v)
	return strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') {
			return r
		}
		return -1
	}, t), err
}

func text(v value) (string, error) {
	if t, ok := v.(string); ok {
		return t, nil
	}
	return "", fmt.Errorf("%s is no string", kind(v))
}
