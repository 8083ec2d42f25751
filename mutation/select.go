package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"hash/fnv"
	"slices"
	"strings"
)

// mutateAll makes the mutations of all functions that functions.go names.
func mutateAll(files []*sourceFile) ([]mutation, error) {
	wanted := map[string]bool{}
	for _, name := range functions {
		if wanted[name] {
			return nil, fmt.Errorf("functions.go names %s twice", name)
		}
		wanted[name] = true
	}
	m := mutator{seen: map[string]int{}}
	for _, f := range files {
		prefix := f.pkg.Name() + "."
		if f.pkg.Name() == "cookiesession" {
			prefix = ""
		}
		mutate := func(name string, root ast.Node) {
			if name = prefix + name; wanted[name] {
				delete(wanted, name)
				m.mutate(f, name, root)
			}
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				mutate(nameOf(d), d)
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, spec := range d.Specs {
					if v := spec.(*ast.ValueSpec); len(v.Values) == 1 {
						mutate(v.Names[0].Name, v.Values[0])
					}
				}
			}
		}
	}
	if len(wanted) > 0 {
		var missing []string
		for name := range wanted {
			missing = append(missing, name)
		}
		slices.Sort(missing)
		return nil, fmt.Errorf("functions.go names what isn't there: %s", strings.Join(missing, ", "))
	}
	return m.mutations, nil
}

// nameOf returns the name that package runtime gives to a function, without the package's.
func nameOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	typ := d.Recv.List[0].Type
	star, isPointer := typ.(*ast.StarExpr)
	if isPointer {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	name := typ.(*ast.Ident).Name
	if isPointer {
		name = "(*" + name + ")"
	}
	return name + "." + d.Name.Name
}

func ofFunctions(mutations []mutation, names string) (of []mutation) {
	for _, m := range mutations {
		if slices.Contains(strings.Split(names, ","), m.function) {
			of = append(of, m)
		}
	}
	return of
}

// sample returns at most n mutations of each function beside the equivalent ones. Which ones they are depends on their
// own text alone, so a change of the code leaves most as they were.
func sample(mutations []mutation, equivalent map[int]bool, n int) (chosen []mutation) {
	hash := func(m mutation) uint64 {
		h := fnv.New64a()
		fmt.Fprint(h, m.function, m.change)
		return h.Sum64()
	}
	mutations = slices.Clone(mutations)
	slices.SortFunc(mutations, func(a, b mutation) int { return cmp.Compare(hash(a), hash(b)) })
	of := map[string]int{}
	for _, m := range mutations {
		if !equivalent[m.number] {
			of[m.function]++
		}
		if equivalent[m.number] || of[m.function] <= n {
			chosen = append(chosen, m)
		}
	}
	return chosen
}
