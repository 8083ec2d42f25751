package cookiesession_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The README's program is the one that compiles as examples/quickstart.
func TestREADMEProgram(t *testing.T) {
	_, rest, ok := strings.Cut(readDoc(t, "README.md"), "```go\n")
	program, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("README.md has no program")
	}
	_, compiled, _ := strings.Cut(readDoc(t, "examples/quickstart/main.go"), "\n") // below the package comment
	if program != compiled {
		t.Error("the program in README.md differs from examples/quickstart/main.go")
	}
}

// OPERATIONS.md shows no Go that isn't compiled as an example.
func TestOperationsCompiles(t *testing.T) {
	compiled := words(readDoc(t, "example_test.go"))
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readDoc(t, "OPERATIONS.md"), -1)
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
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, match := range declaration.FindAllStringSubmatch(readDoc(t, path), -1) {
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
		for _, match := range named.FindAllStringSubmatch(readDoc(t, doc), -1) {
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
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(readDoc(t, doc), ""), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), match[1])); err != nil {
				t.Errorf("%s links to %s, which doesn't exist", doc, match[1])
			}
		}
	}
}

func docs(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.md")
	if err != nil || len(names) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	return names
}
