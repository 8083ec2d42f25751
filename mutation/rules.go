package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strings"
)

// A mutation changes one place in a function.
type mutation struct {
	number   int
	function string
	position string // file and line
	change   string // what stands there → what it does instead; #2 for the second such place, and so on
}

func (m mutation) String() string { return m.function + ", " + m.position + ": " + m.change }

// A mutator makes the mutations of functions, and the edits of their files that put them all in.
type mutator struct {
	mutations []mutation
	seen      map[string]int // how often each change came in a function

	file     *sourceFile
	function string
	results  []*ast.FuncType // of the functions around the node, innermost last
}

// add makes a mutation of n and returns its number. instead says what n does under it.
func (m *mutator) add(n ast.Node, instead string) int {
	change := m.file.source(n) + " → " + instead
	key := m.function + ": " + change
	m.seen[key]++
	if times := m.seen[key]; times > 1 {
		change += fmt.Sprintf(" #%d", times)
	}
	at := m.file.fset.Position(n.Pos())
	m.mutations = append(m.mutations, mutation{
		number: len(m.mutations), function: m.function, change: change,
		position: fmt.Sprintf("%s:%d", at.Filename[strings.LastIndexByte(at.Filename, '/')+1:], at.Line),
	})
	return len(m.mutations) - 1
}

// wrap makes a mutation of an expression: a call of the function in package mutated, with args before the expression.
func (m *mutator) wrap(e ast.Expr, instead, function string) {
	m.file.around(e, fmt.Sprintf("mutated.%s(%d, ", function, m.add(e, instead)), ")")
}

// mutate makes all mutations of a function, or of a variable that a function literal initializes.
func (m *mutator) mutate(f *sourceFile, name string, root ast.Node) {
	m.file, m.function, m.results = f, name, nil
	if decl, ok := root.(*ast.FuncDecl); ok {
		m.unformat(decl)
	}
	m.walk(root)
}

// walk visits a node, then those below it, so that what is around another is made first.
func (m *mutator) walk(root ast.Node) {
	ast.Inspect(root, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			m.results = append(m.results, n.Type)
			m.walk(n.Body)
			m.results = m.results[:len(m.results)-1]
			return false
		case *ast.FuncLit:
			m.results = append(m.results, n.Type)
			m.walk(n.Body)
			m.results = m.results[:len(m.results)-1]
			return false
		case *ast.GenDecl:
			return n.Tok == token.VAR
		case *ast.BlockStmt:
			m.statements(n.List)
		case *ast.CaseClause:
			m.statements(n.Body)
			if len(n.List) == 1 && m.isBool(n.List[0]) {
				m.condition(n.List[0])
				m.below(n.List[0])
				for _, s := range n.Body {
					m.walk(s)
				}
				return false
			}
		case *ast.CommClause:
			m.statements(n.Body)
		case *ast.IfStmt:
			if n.Init != nil {
				m.walk(n.Init)
			}
			m.condition(n.Cond)
			m.below(n.Cond)
			m.walk(n.Body)
			if n.Else != nil {
				m.walk(n.Else)
			}
			return false
		case *ast.ForStmt:
			if n.Init != nil {
				m.walk(n.Init)
			}
			if n.Cond != nil {
				m.wrap(n.Cond, "false", "False")
				m.below(n.Cond)
			}
			if n.Post != nil {
				m.walk(n.Post)
			}
			m.walk(n.Body)
			return false
		case *ast.ReturnStmt:
			m.returned(n)
			for _, e := range n.Results {
				m.below(e)
			}
			return false
		case *ast.CompositeLit:
			m.elements(n)
		case *ast.CallExpr:
			m.arguments(n)
		case *ast.BinaryExpr:
			if m.isBool(n) { // assigned or passed on
				m.condition(n)
			}
			m.below(n)
			return false
		}
		return true
	})
}

// below visits what is in an expression: where conditions are parts of conditions, their halves have been seen to.
func (m *mutator) below(e ast.Expr) {
	switch n := e.(type) {
	case *ast.ParenExpr:
		m.below(n.X)
	case *ast.UnaryExpr:
		m.below(n.X)
	case *ast.BinaryExpr:
		m.bound(n)
		m.bits(n)
		m.below(n.X)
		m.below(n.Y)
	default:
		m.walk(e)
	}
}

// condition makes a condition hold always and never, and each half of a compound one count no more.
func (m *mutator) condition(e ast.Expr) {
	switch half := compound(e); {
	case half == nil:
		m.wrap(e, "false", "False")
		m.wrap(e, "true", "True")
	case half.Op == token.LAND:
		m.wrap(e, "false", "False")
		m.halves(half)
	default:
		m.wrap(e, "true", "True")
		m.halves(half)
	}
}

func (m *mutator) halves(e *ast.BinaryExpr) {
	for _, half := range []ast.Expr{e.X, e.Y} {
		inner := compound(half)
		if inner == nil || inner.Op != e.Op {
			if e.Op == token.LAND {
				m.wrap(half, "true", "True")
			} else {
				m.wrap(half, "false", "False")
			}
		}
		if inner != nil {
			m.halves(inner)
		}
	}
}

// compound returns e if it has two halves, else nil.
func compound(e ast.Expr) *ast.BinaryExpr {
	if b, ok := ast.Unparen(e).(*ast.BinaryExpr); ok && (b.Op == token.LAND || b.Op == token.LOR) {
		return b
	}
	return nil
}

// bound moves the bound of a comparison by one, to both sides if it is a constant.
func (m *mutator) bound(e *ast.BinaryExpr) {
	comparison, ok := map[token.Token]struct {
		function, instead string
		by                int // moves a constant on the right to where the other operator doesn't
	}{
		token.LSS: {"Less", "<=", -1}, token.LEQ: {"LessOrEqual", "<", 1},
		token.GTR: {"Greater", ">=", 1}, token.GEQ: {"GreaterOrEqual", ">", -1},
	}[e.Op]
	basic, ordered := m.typeOf(e.X).Underlying().(*types.Basic)
	if !ok || !ordered || basic.Info()&(types.IsInteger|types.IsString) == 0 ||
		m.isUntypedShift(e.X) || m.isUntypedShift(e.Y) {
		return
	}
	n := m.add(e, m.file.source(e.X)+" "+comparison.instead+" "+m.file.source(e.Y))
	m.file.around(e, fmt.Sprintf("mutated.%s(%d, ", comparison.function, n), ")")
	m.file.replace(e.OpPos, len(e.Op.String()), ",")
	if typ := m.nameOf(e.X); typ != "" && basic.Info()&types.IsInteger != 0 && m.file.info.Types[e.Y].Value != nil {
		n := m.add(e, fmt.Sprintf("%s %s %s%+d", m.file.source(e.X), e.Op, m.file.source(e.Y), comparison.by))
		m.file.around(e.Y, fmt.Sprintf("mutated.Plus[%s](%d, ", typ, n), fmt.Sprintf(", %d)", comparison.by))
	}
}

// bits drops each half of an or of bits.
func (m *mutator) bits(e *ast.BinaryExpr) {
	if e.Op != token.OR || m.file.info.Types[e].Value != nil || m.isUntypedShift(e.X) || m.isUntypedShift(e.Y) {
		return
	}
	n := m.add(e, m.file.source(e.X))
	m.add(e, m.file.source(e.Y))
	m.file.around(e, fmt.Sprintf("mutated.Or(%d, ", n), ")")
	m.file.replace(e.OpPos, len(e.Op.String()), ",")
}

// statements drops each statement that others can do without, as far as the compiler is concerned.
func (m *mutator) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || m.file.source(s.Lhs[0]) == "_" {
				continue
			}
		case *ast.ExprStmt:
			call, ok := s.X.(*ast.CallExpr)
			if !ok || m.isLock(call) || m.file.source(call.Fun) == "panic" {
				continue
			}
		case *ast.DeferStmt:
			if m.isLock(s.Call) {
				continue
			}
		case *ast.BranchStmt:
			if s.Tok != token.CONTINUE && s.Tok != token.BREAK {
				continue
			}
		case *ast.IncDecStmt:
		default:
			continue
		}
		m.file.around(s, fmt.Sprintf("if !mutated.Is(%d) { ", m.add(s, "nothing")), " }")
	}
}

// isLock reports whether a call locks or unlocks: whether it must is for the race detector to see.
func (m *mutator) isLock(call *ast.CallExpr) bool {
	return strings.HasSuffix(m.file.source(call.Fun), "ock")
}

// returned puts the zero value in the place of each result that isn't zero anyway, and conditions under the rules for
// them.
func (m *mutator) returned(s *ast.ReturnStmt) {
	var typ []ast.Expr
	if fields := m.results[len(m.results)-1].Results; fields != nil {
		for _, field := range fields.List {
			for range max(len(field.Names), 1) {
				typ = append(typ, field.Type)
			}
		}
	}
	if len(s.Results) != len(typ) { // a call's results, or named ones
		return
	}
	for i, e := range s.Results {
		if m.isBool(e) {
			switch m.file.source(e) {
			case "true":
				m.wrap(e, "false", "False")
			case "false":
				m.wrap(e, "true", "True")
			default:
				m.condition(e)
			}
		} else if !m.isZero(e) && m.means(typ[i], e.Pos()) {
			m.wrap(e, "zero", "Zero["+m.file.source(typ[i])+"]")
		}
	}
}

// elements puts the zero value in the place of each element of a list, a map or a struct.
func (m *mutator) elements(lit *ast.CompositeLit) {
	of := m.typeOf(lit)
	if p, ok := of.(*types.Pointer); ok {
		of = p.Elem()
	}
	for i, e := range lit.Elts {
		pair, isPair := e.(*ast.KeyValueExpr)
		if isPair {
			e = pair.Value
		}
		var want types.Type
		switch t := of.Underlying().(type) {
		case *types.Struct:
			for k := range t.NumFields() {
				if isPair && t.Field(k).Name() == m.file.source(pair.Key) || !isPair && k == i {
					want = t.Field(k).Type()
				}
			}
		case interface{ Elem() types.Type }:
			want = t.Elem()
		}
		m.zeroed(e, want)
	}
}

// arguments puts the zero value in the place of arguments that are part of a slice of bytes, or constants of a type of
// their own, such as reasons.
func (m *mutator) arguments(call *ast.CallExpr) {
	signature, ok := m.typeOf(call.Fun).Underlying().(*types.Signature)
	if !ok || m.file.info.Types[call.Fun].IsType() {
		return
	}
	for i, e := range call.Args {
		if i >= signature.Params().Len() || signature.Variadic() && i == signature.Params().Len()-1 {
			return
		}
		part, isPart := e.(*ast.SliceExpr)
		isPart = isPart && (part.High == nil || !m.isZero(part.High)) // else it is nothing but storage
		named, _ := m.typeOf(e).(*types.Named)
		if isPart && types.Identical(m.typeOf(e), types.NewSlice(types.Typ[types.Byte])) ||
			named != nil && m.file.info.Types[e].Value != nil && named.Obj().Pkg() == m.file.pkg {
			m.zeroed(e, signature.Params().At(i).Type())
		}
	}
}

// zeroed puts the zero value in the place of e, where a value of type want is expected.
func (m *mutator) zeroed(e ast.Expr, want types.Type) {
	lit, isLit := e.(*ast.CompositeLit)
	_, isFunc := e.(*ast.FuncLit)
	typ := m.typeOf(e)
	if want == nil || m.isZero(e) || isFunc || isLit && lit.Type == nil ||
		m.isBool(e) && !isName(e) || !types.Identical(typ, want) {
		return
	}
	if m.file.info.Types[e].Value != nil { // an untyped constant has no type of its own to infer
		typ := m.nameOf(e)
		if typ == "" {
			return
		}
		m.wrap(e, "zero", "Zero["+typ+"]")
		return
	}
	m.wrap(e, "zero", "Zero")
}

// unformat makes a Format method write what package fmt would write without it.
func (m *mutator) unformat(decl *ast.FuncDecl) {
	if decl.Name.Name != "Format" || decl.Recv == nil || len(decl.Recv.List[0].Names) == 0 ||
		len(decl.Type.Params.List) != 2 {
		return
	}
	receiver, typ := decl.Recv.List[0].Names[0].Name, decl.Recv.List[0].Type
	pointer := ""
	if star, ok := typ.(*ast.StarExpr); ok {
		pointer, typ = "*", star.X
	}
	n := m.add(decl.Name, "the default")
	at := m.file.offset(decl.Body.Lbrace) + 1
	m.file.edits = append(m.file.edits, edit{at, at, fmt.Sprintf(
		" if mutated.Is(%d) { type plain %s; mutated.Print(%s, (%splain)(%s)); return }; ",
		n, m.file.source(typ), decl.Type.Params.List[0].Names[0].Name, pointer, receiver), opening})
}

func (m *mutator) typeOf(e ast.Expr) types.Type {
	if t := m.file.info.TypeOf(e); t != nil {
		return t
	}
	return types.Typ[types.Invalid]
}

// nameOf returns how the file writes the type of e if that is plain: of the language or of the package.
func (m *mutator) nameOf(e ast.Expr) string {
	switch t := m.typeOf(e).(type) {
	case *types.Basic:
		if t.Info()&types.IsUntyped == 0 {
			return t.Name()
		}
	case *types.Named:
		if t.Obj().Pkg() == m.file.pkg && m.lookUp(t.Obj().Name(), e.Pos()) == t.Obj() {
			return t.Obj().Name()
		}
	}
	return ""
}

// means reports whether a type can be written at another place, where a variable may have a type's name.
func (m *mutator) means(typ ast.Expr, at token.Pos) (same bool) {
	same = true
	ast.Inspect(typ, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok && m.file.info.Uses[name] != nil && m.file.info.Uses[name].Parent() != nil {
			same = same && m.lookUp(name.Name, at) == m.file.info.Uses[name]
		}
		return true
	})
	return same
}

// lookUp returns what a name means at a place.
func (m *mutator) lookUp(name string, at token.Pos) types.Object {
	_, found := m.file.pkg.Scope().Innermost(at).LookupParent(name, at)
	return found
}

func (m *mutator) isBool(e ast.Expr) bool {
	basic, ok := m.typeOf(e).Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsBoolean != 0 && !m.file.info.Types[e].IsType()
}

// isZero reports whether e is plainly the zero value.
func (m *mutator) isZero(e ast.Expr) bool {
	if lit, ok := e.(*ast.CompositeLit); ok {
		return len(lit.Elts) == 0
	}
	tv := m.file.info.Types[e]
	if tv.Value == nil {
		return tv.IsNil()
	}
	switch tv.Value.Kind() {
	case constant.String:
		return constant.StringVal(tv.Value) == ""
	case constant.Bool:
		return !constant.BoolVal(tv.Value)
	}
	return constant.Sign(tv.Value) == 0
}

// isUntypedShift reports whether e is a shift of a constant that takes its type from what is around it.
func (m *mutator) isUntypedShift(e ast.Expr) bool {
	shift, ok := ast.Unparen(e).(*ast.BinaryExpr)
	return ok && (shift.Op == token.SHL || shift.Op == token.SHR) && m.file.info.Types[shift.X].Value != nil
}

func isName(e ast.Expr) bool {
	switch e.(type) {
	case *ast.Ident, *ast.SelectorExpr:
		return true
	}
	return false
}
