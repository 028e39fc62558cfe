package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/aws/smithy-go/encoding/cbor"
)

// reply is an answer of the protocols that write trees.
type reply struct {
	status int
	id     string
	value  cbor.Value
}

// writeTree renders an answer as CBOR or as JSON.
func writeTree(w http.ResponseWriter, p protocol, r reply) error {
	if p == rpcCBOR {
		w.Header().Set("Content-Type", "application/cbor")
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		return writeBody(w, r.status, r.id, cbor.Encode(r.value))
	}
	body, err := json.Marshal(jsonOf(r.value))
	if err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	return writeBody(w, r.status, r.id, body)
}

// jsonOf turns a tree into what encoding/json writes as JSON 1.0: times are seconds since 1970.
func jsonOf(value cbor.Value) any {
	switch v := value.(type) {
	case cbor.Map:
		out := make(map[string]any, len(v))
		for name, item := range v {
			out[name] = jsonOf(item)
		}
		return out
	case cbor.List:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, jsonOf(item))
		}
		return out
	case *cbor.Tag:
		return jsonOf(v.Value)
	case cbor.NegInt:
		return -int64(v)
	default:
		return v
	}
}

// shapeOf is the name of an error's shape, which differs from its code in the query protocol for some errors (trait
// awsQueryError of the CloudWatch model).
func shapeOf(code string) string {
	switch code {
	case "InvalidParameterValue":
		return "InvalidParameterValueException"
	case "MissingParameter":
		return "MissingRequiredParameterException"
	case "InvalidParameterCombination":
		return "InvalidParameterCombinationException"
	default:
		return code
	}
}

var stampType = reflect.TypeFor[stamp]()

// cborOf renders an output struct as CBOR by its field names. Nil pointers are left out.
func cborOf(v reflect.Value) cbor.Value {
	if v.Type() == stampType {
		seconds := float64(v.Interface().(stamp).UnixMilli()) / 1000
		return &cbor.Tag{ID: 1, Value: cbor.Float64(seconds)}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return cborOf(v.Elem())
	case reflect.String:
		return cbor.String(v.String())
	case reflect.Bool:
		return cbor.Bool(v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		if v.Int() < 0 {
			return cbor.NegInt(-v.Int())
		}
		return cbor.Uint(v.Int())
	case reflect.Float64:
		return cbor.Float64(v.Float())
	case reflect.Slice:
		list := make(cbor.List, v.Len())
		for i := range list {
			list[i] = cborOf(v.Index(i))
		}
		return list
	default:
		return cborStruct(v)
	}
}

func cborStruct(v reflect.Value) cbor.Value {
	if v.NumField() == 1 && v.Type().Field(0).Name == "Items" {
		return cborOf(v.Field(0))
	}
	m := cbor.Map{}
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() != reflect.Pointer || !f.IsNil() {
			m[v.Type().Field(i).Name] = cborOf(f)
		}
	}
	return m
}
