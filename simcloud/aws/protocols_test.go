package aws_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestCloudWatchProtocols puts and lists a metric in the protocols that the Go SDK does not speak: JSON 1.0 (boto3) and
// query (old SDKs), plain and compressed.
func TestCloudWatchProtocols(t *testing.T) {
	r := manual(t)
	jsonHeader := func(action string) http.Header {
		return http.Header{"X-Amz-Target": {"GraniteServiceVersion20100801." + action}, "Content-Type": {"application/x-amz-json-1.0"}}
	}
	form := url.Values{"Action": {"ListMetrics"}, "Version": {"2010-08-01"}, "Namespace": {"Shop"}}
	zipped := jsonHeader("PutMetricData")
	zipped.Set("Content-Encoding", "gzip")
	datum := `{"Namespace":"Shop","MetricData":[{"MetricName":"orders","Timestamp":1767225600.5,"Value":3,"Dimensions":null}]}`
	for _, tt := range []struct {
		name   string
		header http.Header
		body   string
		status int
		want   string
	}{
		{"put as JSON", jsonHeader("PutMetricData"), datum, 200, `{}`},
		{"put compressed", zipped, compressed(t, strings.ReplaceAll(datum, "orders", "visits")), 200, `{}`},
		{"list as JSON", jsonHeader("ListMetrics"), `{"MetricName":"visits"}`, 200, `{"Metrics":[{"Dimensions":[],"MetricName":"visits","Namespace":"Shop"}],"OwningAccounts":[]}`},
		{"list as query", nil, form.Encode(), 200, `<Metrics><member><Namespace>Shop</Namespace><MetricName>orders</MetricName><Dimensions></Dimensions></member>`},
		{"unknown member", jsonHeader("ListMetrics"), `{"Colour":"red"}`, 400, `"__type":"ValidationError"`},
		{"no JSON", jsonHeader("ListMetrics"), `{`, 400, `"__type":"SerializationException"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := r.post(tt.header, tt.body)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.want)
			}
		})
	}
}

func (r *rig) post(header http.Header, body string) (int, string) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(ctx(r.t), http.MethodPost, r.url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for key, values := range header {
		request.Header[key] = values
	}
	request.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+accessKey+"/20260101/us-east-1/monitoring/aws4_request")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func compressed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
