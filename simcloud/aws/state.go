package aws

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// tag is a key and its value on a resource.
type tag struct {
	Key   string
	Value string
}

// regionData is the whole control-plane state of one account in one region. It
// holds plain values only (exported fields, no handles), so that copyOf makes an
// independent copy for stale reads.
type regionData struct {
	VPCs           map[string]*vpc
	Subnets        map[string]*subnet
	SecurityGroups map[string]*securityGroup
	Templates      map[string]*launchTemplate // by id
	Tokens         map[string]tokenRecord     // by action and client token
	Instances      map[string]*instance
	Groups         map[string]*group // by name
	Activities     []*activity       // oldest first
	Balancers      map[string]*balancer
	Listeners      map[string]*listener
	Rules          map[string]*rule
	TargetGroups   map[string]*targetGroup // by ARN
}

func newRegionData() *regionData {
	return &regionData{
		VPCs: map[string]*vpc{}, Subnets: map[string]*subnet{}, SecurityGroups: map[string]*securityGroup{},
		Templates: map[string]*launchTemplate{}, Tokens: map[string]tokenRecord{}, Instances: map[string]*instance{},
		Groups: map[string]*group{}, Balancers: map[string]*balancer{}, Listeners: map[string]*listener{},
		Rules: map[string]*rule{}, TargetGroups: map[string]*targetGroup{},
	}
}

type vpc struct {
	ID, CIDR string
	Default  bool
	Tags     []tag
}

type subnet struct {
	ID, VPC, Zone, CIDR string
	Tags                []tag
}

type securityGroup struct {
	ID, Name, VPC string
	Tags          []tag
}

type launchTemplate struct {
	ID, Name  string
	CreatedAt time.Time
	CreatedBy string
	Default   int64
	Versions  []templateVersion // in order of their numbers
	Tags      []tag
}

type templateVersion struct {
	Number      int64
	Description string
	CreatedAt   time.Time
	Data        templateData
}

// tokenRecord remembers what a client token was first used for.
type tokenRecord struct {
	Parameters string
	Resource   string
	Version    int64
}

type instance struct {
	ID, Image, Type, Subnet, Zone string
	// State is an EC2 instance state name: pending, running, shutting-down, terminated.
	State      string
	LaunchedAt time.Time
	EndedAt    time.Time // zero while alive
	Group      string    // name of its Auto Scaling group, empty for none
	Tags       []tag
	KeyName    string
	Security   []string
}

// copyOf makes a deep copy of plain data.
func copyOf[T any](value T) T {
	return deepCopy(reflect.ValueOf(value)).Interface().(T)
}

func deepCopy(v reflect.Value) reflect.Value {
	if v.Type() == timeType {
		return v
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		out := reflect.New(v.Type().Elem())
		out.Elem().Set(deepCopy(v.Elem()))
		return out
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for iter := v.MapRange(); iter.Next(); {
			out.SetMapIndex(iter.Key(), deepCopy(iter.Value()))
		}
		return out
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			out.Index(i).Set(deepCopy(v.Index(i)))
		}
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		for i := range v.NumField() {
			out.Field(i).Set(deepCopy(v.Field(i)))
		}
		return out
	default:
		return v
	}
}

// sorted returns the values of a map in the order of their keys.
func sorted[T any](m map[string]T) []T {
	values := make([]T, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[key])
	}
	return values
}

// mergeTags sets keys to new values, keeping the others.
func mergeTags(have, more []tag) []tag {
	out := slices.Clone(have)
	for _, t := range more {
		if i := slices.IndexFunc(out, func(o tag) bool { return o.Key == t.Key }); i >= 0 {
			out[i].Value = t.Value
		} else {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func tagMap(tags []tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}
