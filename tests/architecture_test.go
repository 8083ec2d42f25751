package tests

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ARCHITECTURE.md lists the root's files in an order in which calls go down, and what goes up all the same. Types may be
// named, and their fields used, from anywhere.
func TestNoCallClimbs(t *testing.T) {
	order, exceptions := readArchitecture(t)
	fset := token.NewFileSet()
	var files []*ast.File
	names, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := order[filepath.Base(name)]; !ok {
			t.Errorf("ARCHITECTURE.md doesn't list %s", filepath.Base(name))
		}
		files = append(files, file)
	}
	if len(files) != len(order) {
		t.Errorf("ARCHITECTURE.md lists %d files, there are %d", len(order), len(files))
	}

	// What other packages declare doesn't matter here, so they aren't read, and what can't be resolved for that is no error.
	info := types.Info{Uses: make(map[*ast.Ident]types.Object)}
	config := types.Config{Importer: noPackages{}, Error: func(error) {}}
	pkg, _ := config.Check("cookiesession", fset, files, &info)

	seen, calls := make(map[string]bool), 0
	for use, object := range info.Uses {
		if f, ok := object.(*types.Func); ok {
			object = f.Origin()
		}
		if _, isType := object.(*types.TypeName); isType || object.Pkg() != pkg {
			continue
		}
		if v, ok := object.(*types.Var); ok && v.IsField() || !isTopLevel(object) {
			continue
		}
		from, to := filepath.Base(fset.Position(use.Pos()).Filename), filepath.Base(fset.Position(object.Pos()).Filename)
		if from == to {
			continue
		}
		calls++
		if order[to] > order[from] {
			continue
		}
		climb := from + " → " + object.Name()
		seen[climb] = true
		if !exceptions[climb] {
			t.Errorf("%s climbs to %s: %s", fset.Position(use.Pos()), to, climb)
		}
	}
	for _, climb := range slices.Sorted(maps.Keys(exceptions)) {
		if !seen[climb] {
			t.Errorf("ARCHITECTURE.md allows %s, which isn't there", climb)
		}
	}
	if calls < 100 {
		t.Errorf("found %d calls between files only", calls)
	}
}

// isTopLevel reports whether an object is a function, a method, or declared at package level.
func isTopLevel(object types.Object) bool {
	if _, ok := object.(*types.Func); ok {
		return true
	}
	return object.Parent() == object.Pkg().Scope()
}

type noPackages struct{}

func (noPackages) Import(path string) (*types.Package, error) {
	pkg := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	pkg.MarkComplete()
	return pkg, nil
}

// readArchitecture returns each file's place in the list, and the climbs that the document allows.
func readArchitecture(t *testing.T) (order map[string]int, exceptions map[string]bool) {
	t.Helper()
	file, err := os.Open("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	order, exceptions = make(map[string]int), make(map[string]bool)
	row := regexp.MustCompile("^\\| ((?:`[a-z]+\\.go`(?:, )?)+) \\|")
	climb := regexp.MustCompile("^- `([a-z]+\\.go → [A-Za-z]+)`")
	lines := 0
	for scanner := bufio.NewScanner(file); scanner.Scan(); lines++ {
		if m := row.FindStringSubmatch(scanner.Text()); m != nil {
			for name := range strings.SplitSeq(m[1], ", ") {
				order[strings.Trim(name, "`")] = len(order)
			}
		}
		if m := climb.FindStringSubmatch(scanner.Text()); m != nil {
			exceptions[m[1]] = true
		}
	}
	if lines > 80 {
		t.Errorf("ARCHITECTURE.md has %d lines, want at most 80", lines)
	}
	return order, exceptions
}
