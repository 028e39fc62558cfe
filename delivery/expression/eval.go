package expression

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
)

// step counts one unit of work.
func (r *run) step() error {
	if r.steps++; r.steps > maxSteps {
		r.over = true
		return fmt.Errorf("the document's expressions take more than %d steps", maxSteps)
	}
	if r.ticks++; r.ticks%stepsPerLook == 0 {
		return r.inTime()
	}
	return nil
}

func (r *run) inTime() error {
	if time.Now().After(r.until) {
		r.over = true
		return fmt.Errorf("the document's expressions take longer than %s", maxTime)
	}
	return nil
}

// eval computes a node that inspection let through.
func (r *run) eval(node ast.Node) (value, error) {
	if err := r.step(); err != nil {
		return nil, err
	}
	switch n := node.(type) {
	case *ast.NilNode:
		return nil, nil
	case *ast.IntegerNode:
		return int64(n.Value), nil
	case *ast.FloatNode:
		return n.Value, nil
	case *ast.BoolNode:
		return n.Value, nil
	case *ast.StringNode:
		return n.Value, nil
	case *ast.IdentifierNode:
		return r.variable(n.Value)
	case *ast.UnaryNode:
		return r.unary(n)
	case *ast.BinaryNode:
		return r.binary(n)
	case *ast.ChainNode:
		return r.eval(n.Node)
	case *ast.MemberNode:
		return r.member(n)
	case *ast.ConditionalNode:
		return r.conditional(n)
	case *ast.ArrayNode:
		return r.array(n.Nodes)
	case *ast.MapNode:
		return r.record(n)
	case *ast.CallNode:
		return r.call(n)
	default:
		return nil, fmt.Errorf("%T is not supported", node)
	}
}

func (r *run) variable(name string) (value, error) {
	switch name {
	case "null":
		return nil, nil
	case rootName:
		return root{}, nil
	case thisName:
		if n := len(r.elements); n > 0 {
			return r.elements[n-1], nil
		}
		return root{}, nil
	}
	if len(r.elements) > 0 {
		return r.ofElement(name)
	}
	v, ok, err := r.scope.lookup(name)
	if err == nil && !ok {
		err = unknownVariable(name)
	}
	return v, err
}

// unknownVariable is the error about a name that nothing has.
type unknownVariable string

func (v unknownVariable) Error() string { return "there is no variable " + string(v) }

// optional is eval for a place where an unknown variable counts as nothing: the
// left side of ?: and the sides of == and !=.
func (r *run) optional(node ast.Node) (value, error) {
	if id, ok := node.(*ast.IdentifierNode); ok && id.Value != "null" && id.Value[0] != '$' && len(r.elements) == 0 {
		v, ok, err := r.scope.lookup(id.Value)
		if err == nil && !ok && r.scope.partial {
			err = unknownVariable(id.Value)
		}
		return v, err
	}
	return r.eval(node)
}

func (r *run) record(n *ast.MapNode) (value, error) {
	out := make(record, len(n.Pairs))
	for _, node := range n.Pairs {
		pair, ok := node.(*ast.PairNode)
		if !ok {
			return nil, fmt.Errorf("%T is no pair", node)
		}
		key, err := r.eval(pair.Key)
		if err != nil {
			return nil, err
		}
		name, err := display(key)
		if err != nil {
			return nil, fmt.Errorf("a key %w", err)
		}
		if out[name], err = r.eval(pair.Value); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *run) array(nodes []ast.Node) (value, error) {
	out := make(list, len(nodes))
	for i, node := range nodes {
		v, err := r.eval(node)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// conditional is c ? a : b, or the Elvis operator a ?: b, which takes b when a is
// nothing or the empty string.
func (r *run) conditional(n *ast.ConditionalNode) (value, error) {
	if isElvis(n) {
		v, err := r.optional(n.Cond)
		if err != nil || (v != nil && v != "") {
			return v, err
		}
		return r.eval(n.Exp2)
	}
	yes, err := r.truth(n.Cond)
	if err != nil {
		return nil, err
	}
	if yes {
		return r.eval(n.Exp1)
	}
	return r.eval(n.Exp2)
}

// truth evaluates a condition: a boolean, or a parameter's text "true" or "false".
func (r *run) truth(node ast.Node) (bool, error) {
	v, err := r.eval(node)
	if err != nil {
		return false, err
	}
	switch t := v.(type) {
	case bool:
		return t, nil
	case string:
		switch strings.ToLower(t) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, fmt.Errorf("%s is no condition", kind(v))
}

func (r *run) unary(n *ast.UnaryNode) (value, error) {
	if n.Operator == "!" || n.Operator == "not" {
		yes, err := r.truth(n.Node)
		return !yes, err
	}
	v, err := r.eval(n.Node)
	if err != nil {
		return nil, err
	}
	switch t := v.(type) {
	case int64:
		if n.Operator == "-" {
			return -t, nil
		}
		return t, nil
	case float64:
		if n.Operator == "-" {
			return -t, nil
		}
		return t, nil
	default:
		return nil, fmt.Errorf("%s%s: not a number", n.Operator, kind(v))
	}
}

// member reads a field of an object or an element of a list. An absent field is
// nothing; a field of nothing is an error unless it is read with "?.".
func (r *run) member(n *ast.MemberNode) (value, error) {
	of, err := r.eval(n.Node)
	if err != nil {
		return nil, err
	}
	property, err := r.eval(n.Property)
	if err != nil {
		return nil, err
	}
	switch t := of.(type) {
	case nil:
		if n.Optional {
			return nil, nil
		}
		return nil, fmt.Errorf("%s has no value, so %v cannot be read", describe(n.Node), property)
	case root:
		name, err := display(property)
		if err != nil {
			return nil, fmt.Errorf("the key into #root %w", err)
		}
		v, _, err := r.scope.lookup(name)
		return v, err
	case class:
		return t.field(property)
	case record:
		key, err := display(property)
		if err != nil {
			return nil, fmt.Errorf("the key into %s %w", describe(n.Node), err)
		}
		v, known := t[key]
		id, isName := n.Node.(*ast.IdentifierNode)
		switch {
		case isName && id.Value == "execution" && !known && r.scope.before:
			return nil, laterError("execution." + key + " is known only when the stage begins")
		case isName && id.Value == templateVariables:
			return r.nested(v)
		default:
			return v, nil
		}
	case list:
		return element(n.Node, t, property)
	case string:
		if at, ok := property.(int64); ok {
			return charAt(r, t, []value{at})
		}
	}
	return nil, fmt.Errorf("%s is %s, so %v cannot be read", describe(n.Node), kind(of), property)
}

// element returns an element of a list, or how many there are: Java's arrays, which
// split returns, tell their length so.
func element(node ast.Node, of list, property value) (value, error) {
	if property == "length" {
		return int64(len(of)), nil
	}
	i, ok := property.(int64)
	if !ok {
		return nil, fmt.Errorf("%s is a list; its elements have numbers, not %s", describe(node), kind(property))
	}
	if i < 0 || i >= int64(len(of)) {
		return nil, fmt.Errorf("%s has %d elements, none has the number %d", describe(node), len(of), i)
	}
	return of[i], nil
}

// describe names what an error is about: a path like parameters.image, or "the value".
func describe(node ast.Node) string {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		return n.Value
	case *ast.ChainNode:
		return describe(n.Node)
	case *ast.MemberNode:
		of := describe(n.Node)
		if key, ok := n.Property.(*ast.StringNode); ok && of != "the value" {
			return of + "." + key.Value
		}
	}
	return "the value"
}

func (r *run) binary(n *ast.BinaryNode) (value, error) {
	switch n.Operator {
	case "&&", "and":
		yes, err := r.truth(n.Left)
		if err != nil || !yes {
			return false, err
		}
		return r.truth(n.Right)
	case "||", "or":
		yes, err := r.truth(n.Left)
		if err != nil || yes {
			return yes, err
		}
		return r.truth(n.Right)
	case "==", "!=":
		left, err := r.optional(n.Left)
		if err != nil {
			return nil, err
		}
		right, err := r.optional(n.Right)
		if err != nil {
			return nil, err
		}
		same, err := r.equal(left, right)
		return same == (n.Operator == "=="), err
	}
	left, err := r.eval(n.Left)
	if err != nil {
		return nil, err
	}
	right, err := r.eval(n.Right)
	if err != nil {
		return nil, err
	}
	switch n.Operator {
	case "matches":
		return r.matches(left, right)
	case "in":
		return between(left, right)
	case "contains":
		return instanceOf(left, right)
	}
	if n.Operator == "+" && (isText(left) || isText(right)) {
		return r.concatenate(left, right)
	}
	if isText(left) && isText(right) {
		r.steps += min(size(left), size(right)) / stepBytes
		return compare(n.Operator, strings.Compare(left.(string), right.(string)))
	}
	return arithmetic(n.Operator, left, right)
}

func isText(v value) bool {
	_, ok := v.(string)
	return ok
}

func (r *run) concatenate(left, right value) (value, error) {
	a, err := display(left)
	if err != nil {
		return nil, fmt.Errorf("the left side of +: %w", err)
	}
	b, err := display(right)
	if err != nil {
		return nil, fmt.Errorf("the right side of +: %w", err)
	}
	return a + b, r.produce(len(a) + len(b))
}

func compare(operator string, order int) (value, error) {
	switch operator {
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	case ">=":
		return order >= 0, nil
	default:
		return nil, fmt.Errorf("strings cannot be combined with %s", operator)
	}
}

// arithmetic computes with two numbers. As in Java, whole numbers stay whole:
// 7 / 2 is 3.
func arithmetic(operator string, left, right value) (value, error) {
	a, leftWhole := left.(int64)
	b, rightWhole := right.(int64)
	if leftWhole && rightWhole {
		return whole(operator, a, b)
	}
	x, ok := asFloat(left)
	y, ok2 := asFloat(right)
	if !ok || !ok2 {
		return nil, fmt.Errorf("%s %s %s: not two numbers", kind(left), operator, kind(right))
	}
	var out float64
	switch operator {
	case "+":
		out = x + y
	case "-":
		out = x - y
	case "*":
		out = x * y
	case "/":
		out = x / y
	case "%":
		out = math.Mod(x, y)
	default:
		switch {
		case x < y:
			return compare(operator, -1)
		case x > y:
			return compare(operator, 1)
		}
		return compare(operator, 0)
	}
	if math.IsNaN(out) || math.IsInf(out, 0) {
		return nil, fmt.Errorf("%v %s %v is no number", left, operator, right)
	}
	return out, nil
}

func asFloat(v value) (float64, bool) {
	switch t := v.(type) {
	case int64:
		return float64(t), true
	case float64:
		return t, true
	default:
		return 0, false
	}
}

func whole(operator string, a, b int64) (value, error) {
	var out int64
	exact := true
	switch operator {
	case "+":
		out = a + b
		exact = (out > a) == (b > 0)
	case "-":
		out = a - b
		exact = (out < a) == (b > 0)
	case "*":
		out = a * b
		exact = a == 0 || (out/a == b && (a != -1 || b != math.MinInt64))
	case "/", "%":
		if b == 0 {
			return nil, fmt.Errorf("%d %s 0 is no number", a, operator)
		}
		if operator == "/" {
			return a / b, nil
		}
		return a % b, nil
	default:
		switch {
		case a < b:
			return compare(operator, -1)
		case a > b:
			return compare(operator, 1)
		}
		return compare(operator, 0)
	}
	if !exact {
		return nil, fmt.Errorf("%d %s %d is too large", a, operator, b)
	}
	return out, nil
}
