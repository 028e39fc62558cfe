package gcp

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
)

// listing is a request for a list. All of Compute's have the same parameters.
type listing interface {
	GetFilter() string
	GetMaxResults() uint32
	GetOrderBy() string
	GetPageToken() string
}

// list returns one page of a collection, such as "regions", "r", "urlMaps".
func list[T proto.Message](c *call, in listing, collection ...string) ([]T, *string, error) {
	path := pathOf(c.project.id, collection...)
	c.about = path
	var all []T
	for _, r := range c.data.under(path) {
		if message, ok := r.message.(T); ok {
			all = append(all, message)
		}
	}
	return pageOf(c, in, all)
}

// pageOf filters, orders and cuts a list.
func pageOf[T proto.Message](c *call, in listing, all []T) ([]T, *string, error) {
	return pageUpTo(in, all, c.cloud.options.PageSize)
}

func pageUpTo[T proto.Message](in listing, all []T, limit int) ([]T, *string, error) {
	keep, refusal := parseFilter(in.GetFilter())
	if refusal != nil {
		return nil, nil, refusal
	}
	var kept []T
	for _, message := range all {
		matches, refusal := keep.matches(message.ProtoReflect())
		if refusal != nil {
			return nil, nil, refusal
		}
		if matches {
			kept = append(kept, message)
		}
	}
	if refusal := order(kept, in.GetOrderBy()); refusal != nil {
		return nil, nil, refusal
	}
	part, next, refusal := page(kept, in.GetPageToken(), int(in.GetMaxResults()), limit)
	if refusal != nil {
		return nil, nil, refusal
	}
	return part, nextPage(next), nil
}

// nextPage is a page token, nil for none.
func nextPage(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// order sorts a list: "currently, only sorting by name or creationTimestamp desc is supported" (discovery document, orderBy).
func order[T proto.Message](messages []T, by string) *apiError {
	switch by {
	case "", "name":
		return nil // lists are in the order of names
	case "creationTimestamp desc":
		slices.SortStableFunc(messages, func(a, b T) int { return -strings.Compare(createdAt(a), createdAt(b)) })
		return nil
	default:
		return invalidValue("orderBy", by, "Must be name or creationTimestamp desc.")
	}
}

func createdAt(message proto.Message) string {
	m := message.ProtoReflect()
	for _, name := range []string{"creationTimestamp", "insertTime"} {
		if field := m.Descriptor().Fields().ByJSONName(name); field != nil {
			return m.Get(field).String()
		}
	}
	return ""
}
