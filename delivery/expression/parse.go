package expression

import (
	"errors"
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// parse reads one expression and refuses what cannot be evaluated: what the
// parser knows beyond SpEL (loops, variables, pipes) among it.
func parse(source string) (ast.Node, error) {
	node, wrong := inspect(source)
	if len(wrong) > 0 {
		return nil, wrong[0]
	}
	return node, nil
}

// inspect is parse with everything that is wrong.
func inspect(source string) (ast.Node, []error) {
	if len(source) > maxSource {
		return nil, []error{fmt.Errorf("is longer than %d bytes", maxSource)}
	}
	translated, err := translate(source)
	if err != nil {
		return nil, []error{err}
	}
	tree, err := parser.ParseWithConfig(translated.text(), parserConfig())
	if err != nil {
		var at *file.Error
		if errors.As(err, &at) {
			err = fmt.Errorf("at character %d: %s", translated.position(at.From), at.Message)
		}
		return nil, []error{err}
	}
	in := &inspection{source: translated}
	in.check(tree.Node)
	return tree.Node, in.wrong
}

func parserConfig() *conf.Config {
	c := conf.CreateNew()
	c.MaxNodes = maxNodes
	c.DisableIfOperator = true
	for name := range c.Builtins {
		c.Disabled[name] = true
	}
	return c
}

// binaryOperators are the operators that eval carries out.
var binaryOperators = [...]string{"==", "!=", "<", "<=", ">", ">=", "&&", "and", "||", "or", "+", "-", "*", "/", "%", "matches", "in", "contains"}

// inspection walks an expression before it is evaluated. It counts its visits
// because nodes may be shared: the parser reads a < b < c as a < b && b < c with
// one b, and such chains nest.
type inspection struct {
	source *translation
	visits int
	wrong  []error
}

func (in *inspection) refuse(node ast.Node, format string, args ...any) {
	err := fmt.Errorf("at character %d: %s", in.source.position(node.Location().From), fmt.Sprintf(format, args...))
	known := func(other error) bool { return other.Error() == err.Error() }
	if !slices.ContainsFunc(in.wrong, known) { // a shared node is visited again
		in.wrong = append(in.wrong, err)
	}
}

// check refuses nodes that eval does not know, so that a mistake shows when a
// pipeline is saved.
func (in *inspection) check(nodes ...ast.Node) {
	for _, node := range nodes {
		if in.visits > maxNodes {
			return
		}
		if in.visits++; in.visits > maxNodes {
			in.wrong = append(in.wrong, errors.New("is too large"))
			return
		}
		in.checkNode(node)
	}
}

func (in *inspection) checkNode(node ast.Node) {
	switch n := node.(type) {
	case *ast.NilNode, *ast.IdentifierNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
	case *ast.UnaryNode:
		in.check(n.Node)
	case *ast.BinaryNode:
		in.checkBinary(n)
	case *ast.ChainNode:
		in.check(n.Node)
	case *ast.MemberNode:
		in.check(n.Node, n.Property)
	case *ast.ConditionalNode:
		if isElvis(n) {
			in.check(n.Cond, n.Exp2)
			return
		}
		in.check(n.Cond, n.Exp1, n.Exp2)
	case *ast.ArrayNode:
		in.check(n.Nodes...)
	case *ast.CallNode:
		in.checkCall(n)
	case *ast.MapNode:
		in.check(n.Pairs...)
	case *ast.PairNode:
		in.check(n.Key, n.Value)
	case *ast.BuiltinNode:
		in.refuse(n, "there is no function #%s", n.Name)
	default:
		in.refuse(n, "this is not supported")
	}
}

func (in *inspection) checkBinary(n *ast.BinaryNode) {
	if !slices.Contains(binaryOperators[:], n.Operator) {
		in.refuse(n, "the operator %s is not supported", n.Operator)
	}
	if by, ok := n.Right.(*ast.StringNode); ok && n.Operator == "matches" {
		if _, err := compile(by.Value); err != nil {
			in.refuse(n, "%v", err)
		}
	}
	in.check(n.Left, n.Right)
}

func (in *inspection) checkCall(n *ast.CallNode) {
	var err error
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		switch callee.Value {
		case typeName:
			if _, err := classOf(n); err != nil {
				in.refuse(n, "%v", err)
			}
			return
		case construct:
			err = checkNew(n)
		default:
			err = checkCall(callee.Value, len(n.Arguments))
		}
	case *ast.MemberNode:
		name, ok := callee.Property.(*ast.StringNode)
		if !ok {
			in.refuse(n, "this cannot be called")
			return
		}
		err = checkMethod(name.Value, len(n.Arguments))
		in.check(callee.Node)
	default:
		err = errors.New("this cannot be called")
	}
	if err != nil {
		in.refuse(n, "%v", err)
	}
	in.check(n.Arguments...)
}

// isElvis tells a ?: b from a ? a : b: the parser gives the former one node twice.
func isElvis(n *ast.ConditionalNode) bool { return n.Exp1 == n.Cond }
