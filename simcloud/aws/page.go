package aws

import (
	"encoding/base64"
	"slices"
)

// page cuts the part of values that a request asks for. The token names the last
// value of the page before, so that a value which goes away between two pages
// costs nothing else. keys must grow. The size is the client's, or the
// simulator's small default: AWS may return fewer values than asked for, and a
// client that does not follow the token must be found out.
func page[T any](values []T, key func(T) string, token string, size int) (part []T, next string, ok bool) {
	start := 0
	if token != "" {
		last, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(last) < 2 || last[0] != '>' {
			return nil, "", false
		}
		start, _ = slices.BinarySearchFunc(values, string(last[1:]), func(v T, want string) int {
			if key(v) <= want {
				return -1
			}
			return 1
		})
	}
	end := len(values)
	if size > 0 && start+size < end {
		end = start + size
		next = base64.RawURLEncoding.EncodeToString([]byte(">" + key(values[end-1])))
	}
	return values[start:end], next, true
}

// optional is a pointer for a response member that is absent when empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func ptr[T any](v T) *T { return &v }

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
