package aws

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// members is a list of the query protocol: <Name><member>..</member></Name>. An
// empty list is written as an empty element, as AWS does.
type members[T any] struct {
	Items []T `xml:"member"`
}

// items is a list of the EC2 protocol: <nameSet><item>..</item></nameSet>.
type items[T any] struct {
	Items []T `xml:"item"`
}

func listOf[T any](values []T) members[T] { return members[T]{Items: values} }
func setOf[T any](values []T) items[T]    { return items[T]{Items: values} }

// stamp is a time in the form of the XML protocols, with milliseconds.
type stamp struct{ time.Time }

// MarshalText writes ISO 8601 in UTC.
func (s stamp) MarshalText() ([]byte, error) {
	return []byte(s.UTC().Format("2006-01-02T15:04:05.000Z")), nil
}

func stampOf(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	return &stamp{t}
}

// writeResponse renders the output of an action in the protocol of its request.
func writeResponse(w http.ResponseWriter, req *request, id string, output any) error {
	switch req.protocol {
	case rpcCBOR, awsJSON:
		return writeTree(w, req.protocol, reply{http.StatusOK, id, cborOf(reflect.ValueOf(output))})
	case ec2Query:
		return writeXML(w, http.StatusOK, id, ec2Response{
			XMLName:   xml.Name{Space: req.service.namespace, Local: req.action + "Response"},
			RequestID: id, Output: output,
		})
	default:
		return writeXML(w, http.StatusOK, id, queryResponse{
			XMLName: xml.Name{Space: req.service.namespace, Local: req.action + "Response"},
			Result:  queryResult{XMLName: xml.Name{Local: req.action + "Result"}, Output: output},
			ID:      id,
		})
	}
}

// The shapes below are those of the Smithy specifications of awsQuery and
// ec2Query (smithy.io, "AWS query protocol" and "AWS EC2 query protocol").
type queryResponse struct {
	XMLName xml.Name
	Result  queryResult
	ID      string `xml:"ResponseMetadata>RequestId"`
}

type queryResult struct {
	XMLName xml.Name
	Output  any
}

// MarshalXML writes the members of the output directly below the result element.
func (r queryResult) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	return encodeAs(e, r.XMLName, r.Output)
}

type ec2Response struct {
	XMLName   xml.Name
	RequestID string
	Output    any
}

// MarshalXML writes requestId and then the members of the output.
func (r ec2Response) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	start := xml.StartElement{Name: r.XMLName}
	if err := e.EncodeToken(start); err != nil {
		return fmt.Errorf("write start: %w", err)
	}
	if err := e.EncodeElement(r.RequestID, xml.StartElement{Name: xml.Name{Local: "requestId"}}); err != nil {
		return fmt.Errorf("write request id: %w", err)
	}
	v := reflect.Indirect(reflect.ValueOf(r.Output))
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.Pointer && v.Field(i).IsNil() {
			continue
		}
		name := v.Type().Field(i).Tag.Get("xml")
		if err := e.EncodeElement(v.Field(i).Interface(), xml.StartElement{Name: xml.Name{Local: name}}); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := e.EncodeToken(start.End()); err != nil {
		return fmt.Errorf("write end: %w", err)
	}
	return nil
}

func encodeAs(e *xml.Encoder, name xml.Name, value any) error {
	if err := e.EncodeElement(value, xml.StartElement{Name: name}); err != nil {
		return fmt.Errorf("write %s: %w", name.Local, err)
	}
	return nil
}

func writeXML(w http.ResponseWriter, status int, id string, document any) error {
	body, err := xml.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	return writeBody(w, status, id, append([]byte(xml.Header), body...))
}

func writeBody(w http.ResponseWriter, status int, id string, body []byte) error {
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("write response: %w", err)
	}
	return nil
}

type queryError struct {
	XMLName xml.Name
	Type    string `xml:"Error>Type"`
	Code    string `xml:"Error>Code"`
	Message string `xml:"Error>Message"`
	ID      string `xml:"RequestId"`
}

type ec2Error struct {
	XMLName xml.Name `xml:"Response"`
	Code    string   `xml:"Errors>Error>Code"`
	Message string   `xml:"Errors>Error>Message"`
	ID      string   `xml:"RequestID"`
}

// writeError renders an error in the protocol of its request.
func writeError(w http.ResponseWriter, req *request, id string, e *apiError) error {
	fault := "Sender"
	if e.status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	switch {
	case req.service != nil && req.protocol == ec2Query:
		return writeXML(w, e.status, id, ec2Error{Code: e.code, Message: e.message, ID: id})
	case req.protocol == rpcCBOR, req.protocol == awsJSON:
		// The service answers clients that sent X-Amzn-Query-Mode with its old codes too.
		w.Header().Set("X-Amzn-Query-Error", e.code+";"+fault)
		return writeTree(w, req.protocol, reply{e.status, id, cbor.Map{"__type": cbor.String(shapeOf(e.code)), "message": cbor.String(e.message)}})
	default:
		name := xml.Name{Local: "ErrorResponse"}
		if req.service != nil {
			name.Space = req.service.namespace
		}
		return writeXML(w, e.status, id, queryError{XMLName: name, Type: fault, Code: e.code, Message: e.message, ID: id})
	}
}
