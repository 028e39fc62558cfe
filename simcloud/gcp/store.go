package gcp

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
)

// data is the whole control-plane state of one project. It holds messages and plain values only, so that a copy is
// independent: stale reads are answered from one.
type data struct {
	resources map[string]*resource // by path, such as "projects/p/regions/r/urlMaps/x"
	requests  map[string]replay    // by request id
}

// resource is one thing that exists. The message is what a get returns; what else is to be known of it lies in extra.
type resource struct {
	path    string
	message proto.Message
	created time.Time
	// tags are the ownership tags that events tell.
	tags  map[string]string
	extra extra
	// doomed tells that the operation that makes it is going to fail.
	doomed bool
}

// extra is what a kind of resource remembers beside its message.
type extra interface{ copy() extra }

// replay is what a request id was first used for.
type replay struct {
	method, parameters string
	// operation is the path of the operation that was answered.
	operation string
}

func newData() *data { return &data{resources: map[string]*resource{}, requests: map[string]replay{}} }

func (d *data) copy() *data {
	out := &data{resources: make(map[string]*resource, len(d.resources)), requests: maps.Clone(d.requests)}
	for path, r := range d.resources {
		c := *r
		c.message = proto.Clone(r.message)
		if r.extra != nil {
			c.extra = r.extra.copy()
		}
		out.resources[path] = &c
	}
	return out
}

// lookup returns the message at a path; the zero value when there is none or it is of another type.
func lookup[T proto.Message](d *data, path string) T {
	var none T
	r := d.resources[path]
	if r == nil {
		return none
	}
	message, ok := r.message.(T)
	if !ok {
		return none
	}
	return message
}

// under returns the resources directly in a collection, such as "projects/p/regions/r/urlMaps", by path.
func (d *data) under(collection string) []*resource {
	var out []*resource
	for path, r := range d.resources {
		if rest, ok := strings.CutPrefix(path, collection+"/"); ok && !strings.Contains(rest, "/") {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *resource) int { return strings.Compare(a.path, b.path) })
	return out
}

// all returns the resources whose message is of a type, by path.
func all[T proto.Message](d *data) []*resource {
	var out []*resource
	for _, path := range slices.Sorted(maps.Keys(d.resources)) {
		if _, ok := d.resources[path].message.(T); ok {
			out = append(out, d.resources[path])
		}
	}
	return out
}

// tagsIn reads ownership tags from a description: one that is a JSON object of strings. Resources without labels have no
// other place for them.
func tagsIn(description string) map[string]string {
	var tags map[string]string
	if json.Unmarshal([]byte(description), &tags) != nil {
		return nil
	}
	return tags
}

// page cuts one page out of a list. Tokens are positions; one behind the end of a list that has become shorter gives an
// empty page.
func page[T any](all []T, token string, asked, limit int) (part []T, next string, refusal *apiError) {
	size := limit
	if asked > 0 {
		size = min(asked, limit)
	}
	at := 0
	if token != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(token, "page-"))
		if err != nil || n < 0 {
			return nil, "", invalidValue("pageToken", token, "Invalid page token.")
		}
		at = min(n, len(all))
	}
	end := min(at+size, len(all))
	if end < len(all) {
		next = "page-" + strconv.Itoa(end)
	}
	return all[at:end], next, nil
}
