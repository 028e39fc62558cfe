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
	if len(source) > maxSource {
		return nil, fmt.Errorf("is longer than %d bytes", maxSource)
	}
	translated, err := translate(source)
	if err != nil {
		return nil, err
	}
	tree, err := parser.ParseWithConfig(translated.text(), parserConfig())
	if err != nil {
		var at *file.Error
		if errors.As(err, &at) {
			return nil, fmt.Errorf("at character %d: %s", translated.position(at.From), at.Message)
		}
		return nil, err
	}
	if err := (&inspection{source: translated}).check(tree.Node); err != nil {
		return nil, err
	}
	return tree.Node, nil
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
}

func (in *inspection) refuse(node ast.Node, format string, args ...any) error {
	return fmt.Errorf("at character %d: %s", in.source.position(node.Location().From), fmt.Sprintf(format, args...))
}

// check refuses nodes that eval does not know, so that a mistake shows when a
// pipeline is saved.
func (in *inspection) check(nodes ...ast.Node) error {
	for _, node := range nodes {
		if in.visits++; in.visits > maxNodes {
			return fmt.Errorf("is too large")
		}
		if err := in.checkNode(node); err != nil {
			return err
		}
	}
	return nil
}

func (in *inspection) checkNode(node ast.Node) error {
	switch n := node.(type) {
	case *ast.NilNode, *ast.IdentifierNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
		return nil
	case *ast.UnaryNode:
		return in.check(n.Node)
	case *ast.BinaryNode:
		if !slices.Contains(binaryOperators[:], n.Operator) {
			return in.refuse(n, "the operator %s is not supported", n.Operator)
		}
		if by, ok := n.Right.(*ast.StringNode); ok && n.Operator == "matches" {
			if _, err := compile(by.Value); err != nil {
				return in.refuse(n, "%v", err)
			}
		}
		return in.check(n.Left, n.Right)
	case *ast.ChainNode:
		return in.check(n.Node)
	case *ast.MemberNode:
		return in.check(n.Node, n.Property)
	case *ast.ConditionalNode:
		if isElvis(n) {
			return in.check(n.Cond, n.Exp2)
		}
		return in.check(n.Cond, n.Exp1, n.Exp2)
	case *ast.ArrayNode:
		return in.check(n.Nodes...)
	case *ast.CallNode:
		return in.checkCall(n)
	case *ast.MapNode:
		return in.check(n.Pairs...)
	case *ast.PairNode:
		return in.check(n.Key, n.Value)
	case *ast.BuiltinNode:
		return in.refuse(n, "there is no function #%s", n.Name)
	default:
		return in.refuse(n, "this is not supported")
	}
}

func (in *inspection) checkCall(n *ast.CallNode) error {
	var err error
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		if callee.Value == typeName {
			if _, err := classOf(n); err != nil {
				return in.refuse(n, "%v", err)
			}
			return nil
		}
		if err = checkNew(n); callee.Value != construct {
			err = checkCall(callee.Value, len(n.Arguments))
		}
	case *ast.MemberNode:
		name, ok := callee.Property.(*ast.StringNode)
		if !ok {
			return in.refuse(n, "this cannot be called")
		}
		if err = checkMethod(name.Value, len(n.Arguments)); err == nil {
			err = in.check(callee.Node)
		}
	default:
		err = fmt.Errorf("this cannot be called")
	}
	if err != nil {
		return in.refuse(n, "%v", err)
	}
	return in.check(n.Arguments...)
}

// isElvis tells a ?: b from a ? a : b: the parser gives the former one node twice.
func isElvis(n *ast.ConditionalNode) bool { return n.Exp1 == n.Cond }
