package aws

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go/encoding/cbor"
)

// protocol is how a service's requests and responses look.
type protocol int

const (
	awsQuery protocol = iota // form in, XML out, lists as Name.member.1
	ec2Query                 // form in, XML out, lists as Name.1
	rpcCBOR                  // CBOR both ways
	awsJSON                  // JSON 1.0 both ways, the action in X-Amz-Target
)

// maxBody bounds a request: EC2 user data is 16 KiB, forms are far below 1 MiB.
const maxBody = 1 << 20

// node is one member of a request before it has a type: a scalar or a set of
// children. Lists are children named "1", "2", ...
type node struct {
	value string
	leaf  bool
	kids  map[string]*node
}

func (n *node) child(name string) *node {
	if n.kids == nil {
		n.kids = map[string]*node{}
	}
	kid := n.kids[name]
	if kid == nil {
		kid = &node{}
		n.kids[name] = kid
	}
	return kid
}

func (n *node) set(path []string, value string) {
	for _, name := range path {
		n = n.child(name)
	}
	n.value, n.leaf = value, true
}

// names returns the children's names in order.
func (n *node) names() []string {
	names := make([]string, 0, len(n.kids))
	for name := range n.kids {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// paths adds every leaf below n to out.
func (n *node) paths(prefix string, out map[string]string) {
	if n.leaf {
		out[prefix] = n.value
	}
	for name, kid := range n.kids {
		path := name
		if prefix != "" {
			path = prefix + "." + name
		}
		kid.paths(path, out)
	}
}

// formTree builds the tree of a query request. Action and Version are no members.
func formTree(form url.Values) *node {
	root := &node{}
	for key, values := range form {
		if key == "Action" || key == "Version" || len(values) == 0 {
			continue
		}
		root.set(strings.Split(key, "."), values[0])
	}
	return root
}

// cborTree builds the tree of a CBOR request.
func cborTree(body []byte) (*node, error) {
	root := &node{}
	if len(body) == 0 {
		return root, nil
	}
	value, err := cbor.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("decode CBOR: %w", err)
	}
	if _, ok := value.(cbor.Map); !ok {
		return nil, fmt.Errorf("the body is no CBOR map")
	}
	fillFromCBOR(root, value)
	return root, nil
}

func fillFromCBOR(n *node, value cbor.Value) {
	switch v := value.(type) {
	case cbor.Map:
		for name, item := range v {
			if _, null := item.(*cbor.Nil); !null {
				fillFromCBOR(n.child(name), item)
			}
		}
	case cbor.List:
		n.leaf = len(v) == 0
		for i, item := range v {
			fillFromCBOR(n.child("member").child(strconv.Itoa(i+1)), item)
		}
	case *cbor.Tag:
		if t, err := cbor.AsTime(v); err == nil {
			n.value, n.leaf = t.UTC().Format(time.RFC3339Nano), true
		}
	default:
		n.value, n.leaf = cborScalar(v), true
	}
}

func cborScalar(value cbor.Value) string {
	switch v := value.(type) {
	case cbor.String:
		return string(v)
	case cbor.Slice:
		return string(v)
	case cbor.Bool:
		return strconv.FormatBool(bool(v))
	case cbor.Uint:
		return strconv.FormatUint(uint64(v), 10)
	case cbor.NegInt:
		return "-" + strconv.FormatUint(uint64(v), 10)
	case cbor.Float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case cbor.Float64:
		return strconv.FormatFloat(float64(v), 'g', -1, 64)
	default:
		return ""
	}
}

// jsonTree builds the tree of a JSON request.
func jsonTree(body []byte) (*node, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("decode JSON: %w", err)
	}
	root := &node{}
	fillFromJSON(root, value)
	return root, nil
}

func fillFromJSON(n *node, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, item := range v {
			if item != nil {
				fillFromJSON(n.child(name), item)
			}
		}
	case []any:
		n.leaf = len(v) == 0
		for i, item := range v {
			fillFromJSON(n.child("member").child(strconv.Itoa(i+1)), item)
		}
	default:
		n.value, n.leaf = fmt.Sprint(v), true
	}
}

// request is one parsed call before its input has a type.
type request struct {
	service  *service
	protocol protocol
	action   string
	region   string
	keyID    string
	token    string
	members  *node
}

// cborPath is the path of RPCv2-CBOR: /service/<Service>/operation/<Action>.
const cborPath = "/service/GraniteServiceVersion20100801/operation/"

// jsonTarget begins X-Amz-Target of JSON 1.0, which boto3 speaks with CloudWatch.
const jsonTarget = "GraniteServiceVersion20100801."

// parse reads one HTTP request. Its errors are answers for the client.
func (s serviceTable) parse(r *http.Request) (*request, *apiError) {
	req := &request{}
	cred, err := credentialOf(r)
	if err != nil {
		return req, err
	}
	req.keyID, req.region, req.token = cred.keyID, cred.region, r.Header.Get("X-Amz-Security-Token")
	svc, ok := s[cred.service]
	if !ok {
		return req, errf(http.StatusNotFound, "UnknownService", "The simulator does not know the service %q", cred.service)
	}
	req.service, req.protocol = svc, svc.protocol
	body, refusal := bodyOf(r)
	if refusal != nil {
		return req, refusal
	}
	if name, ok := strings.CutPrefix(r.URL.Path, cborPath); ok {
		return req, req.readTree(rpcCBOR, name, cborTree, body)
	}
	if name, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), jsonTarget); ok {
		return req, req.readTree(awsJSON, name, jsonTree, body)
	}
	return req, req.readForm(r, body)
}

// bodyOf reads the body, which SDKs compress when PutMetricData is large.
func bodyOf(r *http.Request) ([]byte, *apiError) {
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, refuse("SerializationException", "The body is not compressed by gzip")
		}
		from = unzipped
	}
	body, err := io.ReadAll(io.LimitReader(from, maxBody))
	if err != nil {
		return nil, refuse("RequestTimeout", "The body could not be read")
	}
	return body, nil
}

func (req *request) readTree(p protocol, action string, decode func([]byte) (*node, error), body []byte) *apiError {
	req.protocol, req.action = p, action
	members, err := decode(body)
	if err != nil {
		return refuse("SerializationException", "%s", err)
	}
	req.members = members
	return nil
}

func (req *request) readForm(r *http.Request, body []byte) *apiError {
	form := r.URL.Query()
	if len(bytes.TrimSpace(body)) > 0 {
		posted, err := url.ParseQuery(string(body))
		if err != nil {
			return errf(http.StatusBadRequest, "MalformedQueryString", "The query string is malformed")
		}
		for key, values := range posted {
			form[key] = values
		}
	}
	req.action = form.Get("Action")
	if req.protocol == rpcCBOR {
		req.protocol = awsQuery // a service that speaks CBOR was asked in its older protocol
	}
	if req.action == "" {
		return errf(http.StatusBadRequest, "MissingAction", "The request must contain the parameter Action")
	}
	if v := form.Get("Version"); v != "" && v != req.service.version {
		return errf(http.StatusBadRequest, "NoSuchVersion", "The requested version (%s) is not valid", v)
	}
	req.members = formTree(form)
	return nil
}

type credential struct{ keyID, region, service string }

// credentialOf reads the credential scope of a SigV4 header:
// AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/ec2/aws4_request, ...
func credentialOf(r *http.Request) (credential, *apiError) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return credential{}, errf(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	}
	_, rest, ok := strings.Cut(header, "Credential=")
	scope, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(strings.TrimSpace(scope), "/")
	if !ok || len(parts) != 5 || parts[4] != "aws4_request" {
		return credential{}, errf(http.StatusBadRequest, "IncompleteSignature",
			"Authorization header requires 'Credential' parameter of the form AKID/date/region/service/aws4_request")
	}
	return credential{keyID: parts[0], region: parts[2], service: parts[3]}, nil
}
