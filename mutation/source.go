package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// A sourceFile is one file of the module, and what is to be written into it.
type sourceFile struct {
	path  string
	text  []byte
	ast   *ast.File
	fset  *token.FileSet
	info  *types.Info
	pkg   *types.Package
	edits []edit
}

// An edit puts text in the place of what stands between two offsets of a file.
type edit struct {
	from, to int
	text     string
	place    place
}

// A place says where an edit stands among others at the same offset.
type place int

const (
	closing place = iota // behind an expression or statement: of several, the one made last comes first
	between
	opening // before one: of several, the one made first comes first
)

// around puts before and behind around a node.
func (f *sourceFile) around(n ast.Node, before, behind string) {
	from, to := f.offset(n.Pos()), f.offset(n.End())
	f.edits = append(f.edits, edit{from, from, before, opening}, edit{to, to, behind, closing})
}

func (f *sourceFile) replace(at token.Pos, length int, text string) {
	f.edits = append(f.edits, edit{f.offset(at), f.offset(at) + length, text, between})
}

func (f *sourceFile) offset(p token.Pos) int { return f.fset.Position(p).Offset }

// source returns what stands in the file for a node, with every white space as one blank.
func (f *sourceFile) source(n ast.Node) string {
	return string(bytes.Join(bytes.Fields(f.text[f.offset(n.Pos()):f.offset(n.End())]), []byte(" ")))
}

// edited returns the text with all edits made. Lines keep their numbers.
func (f *sourceFile) edited() []byte {
	for i := range f.edits { // what closes comes in the reverse order of what opens
		if f.edits[i].place == closing {
			f.edits[i].place = closing - place(i) - 1
		}
	}
	slices.SortStableFunc(f.edits, func(a, b edit) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return int(a.place - b.place)
	})
	var out []byte
	at := 0
	for _, e := range f.edits {
		out = append(append(out, f.text[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, f.text[at:]...)
}

// load parses and checks the packages that have functions to mutate: the module in dir and what is in its folder
// internal. It returns their files and the module's path.
func load(dir string) (files []*sourceFile, module string, err error) {
	const fields = "-json=ImportPath,Export,Dir,GoFiles,Module"
	out, err := goCommand(dir, "list", "-export", "-deps", fields, ".", "./internal/...")
	if err != nil {
		return nil, "", err
	}
	type listed struct {
		ImportPath, Export, Dir string
		GoFiles                 []string
		Module                  *struct {
			Path string
			Main bool
		}
	}
	exports := map[string]string{}
	var own []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, "", err
		}
		exports[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Main {
			own = append(own, p)
			module = p.Module.Path
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range own {
		info := &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
		}
		var parsed []*ast.File
		first := len(files)
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, "", err
			}
			file, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
			if err != nil {
				return nil, "", err
			}
			parsed = append(parsed, file)
			files = append(files, &sourceFile{path: path, text: text, ast: file, fset: fset, info: info})
		}
		config := types.Config{Importer: imports}
		pkg, err := config.Check(p.ImportPath, fset, parsed, info)
		if err != nil {
			return nil, "", err
		}
		for _, f := range files[first:] {
			f.pkg = pkg
		}
	}
	return files, module, nil
}

// goCommand runs the go command in dir and returns what it prints.
func goCommand(dir string, args ...string) ([]byte, error) {
	c := exec.Command("go", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GOWORK=off")
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, complaint.Bytes())
	}
	return out, nil
}
