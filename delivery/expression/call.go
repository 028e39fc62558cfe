package expression

import (
	"fmt"

	"github.com/expr-lang/expr/ast"
)

// call is a function, a method, a class, a selection or a projection.
func (r *run) call(n *ast.CallNode) (value, error) {
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		switch callee.Value {
		case typeName:
			return classOf(n)
		case construct:
			args, err := r.arguments(n.Arguments)
			if err != nil {
				return nil, err
			}
			return r.construct(args)
		}
		args, err := r.arguments(n.Arguments)
		if err != nil {
			return nil, err
		}
		if callee.Value == "toJson" && isKept(n.Arguments[0]) {
			return r.counted(args, func() (value, error) { return asJSON(args[0]) })
		}
		return r.counted(args, func() (value, error) { return r.function(callee.Value, args) })
	case *ast.MemberNode:
		name, ok := callee.Property.(*ast.StringNode)
		if !ok {
			return nil, fmt.Errorf("this cannot be called")
		}
		of, err := r.eval(callee.Node)
		if err != nil {
			return nil, err
		}
		if of == nil {
			if callee.Optional {
				return nil, nil
			}
			return nil, fmt.Errorf("%s has no value, so %s cannot be called", describe(callee.Node), called(name.Value))
		}
		if name.Value[0] == '$' {
			return r.pick(name.Value, of, describe(callee.Node), n.Arguments[0])
		}
		args, err := r.arguments(n.Arguments)
		if err != nil {
			return nil, err
		}
		return r.counted(append(args, of), func() (value, error) { return r.method(of, name.Value, args) })
	default:
		return nil, fmt.Errorf("this cannot be called")
	}
}

// isKept reports whether the node is a call of #doNotEval, which allows "${" in what
// #toJson writes.
func isKept(node ast.Node) bool {
	call, ok := node.(*ast.CallNode)
	if !ok {
		return false
	}
	callee, ok := call.Callee.(*ast.IdentifierNode)
	return ok && callee.Value == "doNotEval"
}

func (r *run) arguments(nodes []ast.Node) ([]value, error) {
	args := make([]value, len(nodes))
	for i, node := range nodes {
		v, err := r.eval(node)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	return args, nil
}

// counted counts both sides of a call: what #toJson writes, and what #readJson
// reads. What is read once is read again in every round of a selection.
func (r *run) counted(read []value, call func() (value, error)) (value, error) {
	for _, v := range read {
		r.steps += size(v) / stepBytes
	}
	if err := r.step(); err != nil {
		return nil, err
	}
	v, err := call()
	if err != nil {
		return nil, err
	}
	return v, r.produce(size(v))
}

// size is how much a value takes, its fields and elements not counted.
func size(v value) int {
	switch t := v.(type) {
	case string:
		return len(t)
	case list:
		return elementSize * len(t)
	case record:
		return elementSize * len(t)
	default:
		return 0
	}
}

// ofElement reads a field of the element that a selection is at.
func (r *run) ofElement(name string) (value, error) {
	element := r.elements[len(r.elements)-1]
	fields, ok := element.(record)
	if !ok {
		return nil, fmt.Errorf("the element is %s, so %s cannot be read; #root.%s is the variable", kind(element), name, name)
	}
	return fields[name], nil
}

// pick selects from a list, or from the values of an object, or projects them.
func (r *run) pick(how string, of value, what string, body ast.Node) (value, error) {
	elements, ok := of.(list)
	if fields, isRecord := of.(record); isRecord {
		if how != project {
			return r.pickFields(how, fields, body)
		}
		elements, ok = entries(fields), true
	}
	if !ok {
		return nil, fmt.Errorf("%s is %s, so nothing can be selected from it", what, kind(of))
	}
	out := list{}
	for i := range elements {
		element := elements[i]
		if how == selectLast {
			element = elements[len(elements)-1-i]
		}
		v, err := r.at(element, body)
		if err != nil {
			return nil, err
		}
		if how == project {
			out = append(out, v)
			continue
		}
		if yes, ok := v.(bool); !ok {
			return nil, fmt.Errorf("the selection's condition is %s, not a boolean", kind(v))
		} else if !yes {
			continue
		}
		if how != selectAll {
			return element, nil
		}
		out = append(out, element)
	}
	if how == selectFirst || how == selectLast {
		return nil, nil
	}
	return out, nil
}

// pickFields keeps the fields of an object for which the condition on key and value
// holds.
func (r *run) pickFields(how string, fields record, body ast.Node) (value, error) {
	out := record{}
	chosen := entries(fields)
	for i := range chosen {
		entry := chosen[i].(record)
		if how == selectLast {
			entry = chosen[len(chosen)-1-i].(record)
		}
		v, err := r.at(entry, body)
		if err != nil {
			return nil, err
		}
		if v == true {
			out[entry["key"].(string)] = entry["value"]
			if how != selectAll {
				break
			}
		}
	}
	return out, nil
}

// at evaluates with an element as what bare names read.
func (r *run) at(element value, body ast.Node) (value, error) {
	if err := r.step(); err != nil {
		return nil, err
	}
	r.elements = append(r.elements, element)
	defer func() { r.elements = r.elements[:len(r.elements)-1] }()
	return r.eval(body)
}

// called names a method or a selection for people.
func called(name string) string {
	switch name {
	case selectAll:
		return ".?[ ]"
	case selectFirst:
		return ".^[ ]"
	case selectLast:
		return ".$[ ]"
	case project:
		return ".![ ]"
	default:
		return name + "()"
	}
}
