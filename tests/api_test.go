package tests

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

const apiFile = "../testdata/api.txt"

var update = flag.Bool("update", false, "write testdata/api.txt anew")

// TestAPI fails if an exported name or signature of the packages that applications use has changed: on purpose, run the
// test with -update, and tell of the change in CHANGELOG.md.
func TestAPI(t *testing.T) {
	var lines []string
	for _, dir := range []string{"..", "../cookiesessiontest"} {
		lines = append(lines, exported(t, dir)...)
	}
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(filepath.FromSlash(apiFile), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.FromSlash(apiFile))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	for _, line := range lines {
		if !slices.Contains(want, line) {
			t.Errorf("new, or changed to: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(lines, line) {
			t.Errorf("gone, or changed from: %s", line)
		}
	}
}

// TestAPIMethodSets fails if a type has exported methods that its declaration doesn't show, by way of an embedded
// field.
func TestAPIMethodSets(t *testing.T) {
	listed := exported(t, "..")
	for _, typ := range []reflect.Type{
		reflect.TypeFor[*cookiesession.Key](), reflect.TypeFor[*cookiesession.Keyring](), reflect.TypeFor[*cookiesession.KeyInfo](),
		reflect.TypeFor[*cookiesession.Config](), reflect.TypeFor[*cookiesession.Manager](), reflect.TypeFor[*cookiesession.Session](),
		reflect.TypeFor[*cookiesession.Stats](), reflect.TypeFor[*cookiesession.KeyStats](),
		reflect.TypeFor[*cookiesession.SizeError](), reflect.TypeFor[*cookiesession.RejectError](),
	} {
		for i := range typ.NumMethod() {
			name := typ.Elem().Name()
			method := typ.Method(i).Name
			if !slices.ContainsFunc(listed, func(line string) bool {
				return strings.HasPrefix(line, fmt.Sprintf("cookiesession: method (*%s) %s(", name, method)) ||
					strings.HasPrefix(line, fmt.Sprintf("cookiesession: method (%s) %s(", name, method))
			}) {
				t.Errorf("%s has a method %s that its package doesn't declare", name, method)
			}
		}
	}
}

// exported lists what the package in dir exports, a line for each name and field.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			for _, line := range declared(decl) {
				lines = append(lines, file.Name.Name+": "+line)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func declared(decl ast.Decl) (lines []string) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		signature := strings.TrimPrefix(types.ExprString(decl.Type), "func")
		switch {
		case !decl.Name.IsExported():
		case decl.Recv == nil:
			lines = append(lines, "func "+decl.Name.Name+signature)
		default:
			receiver := types.ExprString(decl.Recv.List[0].Type)
			if name, _, _ := strings.Cut(strings.TrimPrefix(receiver, "*"), "["); ast.IsExported(name) {
				lines = append(lines, "method ("+receiver+") "+decl.Name.Name+signature)
			}
		}
	case *ast.GenDecl:
		last := ""
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				if spec.Type != nil {
					last = " " + types.ExprString(spec.Type)
				} else if spec.Values != nil {
					last = ""
				}
				for i, name := range spec.Names {
					line := decl.Tok.String() + " " + name.Name + last
					if i < len(spec.Values) && decl.Tok == token.CONST && last == "" {
						line += " = " + types.ExprString(spec.Values[i])
					}
					if name.IsExported() {
						lines = append(lines, line)
					}
				}
			case *ast.TypeSpec:
				if spec.Name.IsExported() {
					lines = append(lines, declaredType(spec)...)
				}
			}
		}
	}
	return lines
}

func declaredType(spec *ast.TypeSpec) []string {
	line := "type " + spec.Name.Name
	if spec.TypeParams != nil {
		var params []string
		for _, field := range spec.TypeParams.List {
			for _, name := range field.Names {
				params = append(params, name.Name+" "+types.ExprString(field.Type))
			}
		}
		line += "[" + strings.Join(params, ", ") + "]"
	}
	if spec.Assign.IsValid() {
		line += " ="
	}
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return []string{line + " " + types.ExprString(spec.Type)}
	}
	lines := []string{line + " struct"}
	for _, field := range structure.Fields.List {
		typ := types.ExprString(field.Type)
		if field.Names == nil && ast.IsExported(typ[strings.LastIndexAny(typ, "*.")+1:]) {
			lines = append(lines, line+" struct, embedded "+typ)
		}
		for _, name := range field.Names {
			if name.IsExported() {
				lines = append(lines, line+" struct, "+name.Name+" "+typ)
			}
		}
	}
	return lines
}

func TestExportedSeesChanges(t *testing.T) {
	const source = `package p
const A, b = 1, 2
const (
	C Kind = iota
	d
	E
)
var F, g error
type Kind int
type T[K comparable, V any] struct {
	A, b int
	fs.FS
	hidden
	C func(x int) error
}
type hidden struct{ D int }
type U = T[int, string]
func H(a int, b ...string) (c error) { return nil }
func i() {}
func (T[K, V]) J() {}
func (*Kind) K() {}
func (hidden) L() {}
`
	want := []string{
		"p: const A = 1", "p: const C Kind", "p: const E Kind", "p: func H(a int, b ...string) (c error)", "p: method (*Kind) K()",
		"p: method (T[K, V]) J()", "p: type Kind int", "p: type T[K comparable, V any] struct", "p: type T[K comparable, V any] struct, A int",
		"p: type T[K comparable, V any] struct, C func(x int) error", "p: type T[K comparable, V any] struct, embedded fs.FS", "p: type U = T[int, string]",
		"p: var F error",
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"p.go": source, "p_test.go": "package p\nfunc Test() {}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), fs.FileMode(0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if got := exported(t, dir); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
