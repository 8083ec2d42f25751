package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the project's root folder.
const root = ".."

// readFile returns the text of a file below root.
func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The README's program is the one that compiles as examples/quickstart.
func TestREADMEProgram(t *testing.T) {
	_, rest, ok := strings.Cut(readFile(t, "README.md"), "```go\n")
	program, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("README.md has no program")
	}
	_, compiled, _ := strings.Cut(readFile(t, "examples/quickstart/main.go"), "\n") // below the package comment
	if program != compiled {
		t.Error("the program in README.md differs from examples/quickstart/main.go")
	}
}

// OPERATIONS.md shows no Go that isn't compiled as an example.
func TestOperationsCompiles(t *testing.T) {
	compiled := words(readFile(t, "example_test.go"))
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readFile(t, "OPERATIONS.md"), -1)
	if len(blocks) == 0 {
		t.Error("OPERATIONS.md shows no Go")
	}
	for _, block := range blocks {
		if !strings.Contains(compiled, words(block[1])) {
			t.Errorf("not compiled:\n%s", block[1])
		}
	}
}

// Every test that a document names exists.
func TestNamedTestsExist(t *testing.T) {
	declared := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example|Benchmark)\w*)\(`)
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, match := range declaration.FindAllStringSubmatch(readFile(t, path), -1) {
			declared[match[1]] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz|Example|Benchmark)[A-Z_]\\w*)")
	found := 0
	for _, doc := range docs(t) {
		for _, match := range named.FindAllStringSubmatch(readFile(t, doc), -1) {
			found++
			if !declared[match[1]] {
				t.Errorf("%s names %s, which doesn't exist", doc, match[1])
			}
		}
	}
	if found == 0 {
		t.Error("no document names a test")
	}
}

// Every link from one file of the project to another leads somewhere.
func TestLinks(t *testing.T) {
	code := regexp.MustCompile("(?s)```.*?```")
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, doc := range docs(t) {
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(readFile(t, doc), ""), -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(doc), match[1])); err != nil {
				t.Errorf("%s links to %s, which doesn't exist", doc, match[1])
			}
		}
	}
}

// docs returns the names of the documents in root.
func docs(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(os.DirFS(root), "*.md")
	if err != nil || len(names) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	return names
}

// words returns text with single spaces between words, so that indentation doesn't count.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }
