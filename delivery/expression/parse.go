package expression

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

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

// translation is SpEL rewritten to the parser's syntax. Each rune remembers
// which rune of the source it comes from.
type translation struct {
	runes  []rune
	origin []int
}

func (t *translation) add(origin int, text string) {
	for _, r := range text {
		t.runes = append(t.runes, r)
		t.origin = append(t.origin, origin)
	}
}

func (t *translation) text() string { return string(t.runes) }

// position returns the place in the source, counted from 1, of a rune in the translation.
func (t *translation) position(i int) int {
	if len(t.origin) == 0 {
		return 1
	}
	return t.origin[min(max(i, 0), len(t.origin)-1)] + 1
}

// translate rewrites the two things that SpEL writes differently: string
// literals, where a doubled quote stands for a quote and a backslash for itself,
// and functions, which are called with a leading '#'.
func translate(source string) (*translation, error) {
	var out translation
	in := []rune(source)
	for i := 0; i < len(in); {
		switch r := in[i]; {
		case r == '\'' || r == '"':
			literal, length := unquote(in[i:])
			if length == 0 {
				return nil, fmt.Errorf("at character %d: the string is not closed", i+1)
			}
			out.add(i, quote(literal))
			i += length
		case r == '#' && i+1 < len(in) && (unicode.IsLetter(in[i+1]) || in[i+1] == '_'):
			out.add(i, " ")
			i++
		case r == '#' || r == '`' || r == '\\':
			return nil, fmt.Errorf("at character %d: unexpected %q", i+1, r)
		default:
			out.add(i, string(r))
			i++
		}
	}
	return &out, nil
}

// unquote reads a SpEL string literal at the start of in. The length is 0 when
// it is not closed.
func unquote(in []rune) (literal string, length int) {
	var b strings.Builder
	for i := 1; i < len(in); i++ {
		if in[i] == in[0] {
			if i+1 == len(in) || in[i+1] != in[0] {
				return b.String(), i + 1
			}
			i++
		}
		b.WriteRune(in[i])
	}
	return "", 0
}

// quote writes a string literal of the parser.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", `\r`, "\n", `\n`).Replace(s) + `"`
}

// binaryOperators are the operators that eval carries out.
var binaryOperators = [...]string{"==", "!=", "<", "<=", ">", ">=", "&&", "and", "||", "or", "+", "-", "*", "/", "%"}

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
		callee, ok := n.Callee.(*ast.IdentifierNode)
		if !ok {
			return in.refuse(n, "methods of values are not supported")
		}
		if err := checkCall(callee.Value, len(n.Arguments)); err != nil {
			return in.refuse(n, "%v", err)
		}
		return in.check(n.Arguments...)
	case *ast.BuiltinNode:
		return in.refuse(n, "there is no function #%s", n.Name)
	default:
		return in.refuse(n, "this is not supported")
	}
}

// isElvis tells a ?: b from a ? a : b: the parser gives the former one node twice.
func isElvis(n *ast.ConditionalNode) bool { return n.Exp1 == n.Cond }
