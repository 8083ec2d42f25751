// Command mutation breaks the library on purpose, one rule of security at a time, and sees that its tests notice. Run
// it here with
//
//	go run .
//
// It works on a copy of the repository. All mutations are built into one test binary of each package, in which an
// environment variable chooses one, since building takes longer than testing. A mutation has survived if the tests
// that are expected to notice it pass. It is an error if the text that a mutation replaces isn't found exactly once,
// if one of its tests doesn't exist, or if its tests fail without it.
package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// A mutation breaks one rule. In the new texts, MUTANT is a condition that holds if it is chosen.
type mutation struct {
	name  string
	edits []edit
	tests string // names, with | between them, of tests that must notice
}

// An edit replaces a text that stands in a file once. All edits of a mutation are in one package.
type edit struct{ file, old, new string }

const chosen = "COOKIESESSION_MUTANT"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run() error {
	start := time.Now()
	dir, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyModule(dir, ".."); err != nil {
		return err
	}
	packages := map[string][]mutation{} // by directory
	for _, m := range mutations {
		for _, e := range m.edits {
			if err := e.apply(dir, m.name); err != nil {
				return err
			}
		}
		folder := filepath.Dir(m.edits[0].file)
		packages[folder] = append(packages[folder], m)
	}
	for folder := range packages {
		if err := addMutant(filepath.Join(dir, folder)); err != nil {
			return err
		}
	}
	survived := 0
	for folder, mutations := range packages {
		n, err := try(filepath.Join(dir, folder), mutations)
		if err != nil {
			return err
		}
		survived += n
	}
	fmt.Printf("%d mutations caught, %d survived (%.0f s)\n", len(mutations)-survived, survived, time.Since(start).Seconds())
	if survived > 0 {
		return fmt.Errorf("no test notices what survived")
	}
	return nil
}

// copyModule copies the module in from, without those below it.
func copyModule(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if name != "." && (err == nil || entry.Name() == ".git") {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o600)
	})
}

// apply makes the edit, which counts if the mutation called name is chosen.
func (e edit) apply(dir, name string) error {
	path := filepath.Join(dir, e.file)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if n := bytes.Count(text, []byte(e.old)); n != 1 {
		return fmt.Errorf("%s: this text is in %s %d times, want once:\n%s", name, e.file, n, e.old)
	}
	text = bytes.ReplaceAll(text, []byte(e.old), []byte(strings.ReplaceAll(e.new, "MUTANT", fmt.Sprintf("(mutant == %q)", name))))
	return os.WriteFile(path, text, 0o600)
}

// addMutant adds the variable that MUTANT looks at to the package in folder.
func addMutant(folder string) error {
	name, err := command(folder, "", "go", "list", "-f", "{{.Name}}", ".")
	if err != nil {
		return err
	}
	code := fmt.Sprintf("package %s\n\nimport \"os\"\n\nvar mutant = os.Getenv(%q)\n", strings.TrimSpace(name), chosen)
	return os.WriteFile(filepath.Join(folder, "mutant.go"), []byte(code), 0o600)
}

// try builds the tests of the package in folder, runs them for each mutation, and returns how many survived.
func try(folder string, mutations []mutation) (survived int, err error) {
	if out, err := command(folder, "", "go", "test", "-c", "-vet=off", "-o", "mutant.test", "."); err != nil {
		return 0, fmt.Errorf("the mutations don't compile:\n%s", out)
	}
	listed, err := command(folder, "", "./mutant.test", "-test.list=.")
	if err != nil {
		return 0, err
	}
	known := strings.Fields(listed)
	all := mutation{tests: "^$"}
	for _, m := range mutations {
		for test := range strings.SplitSeq(m.tests, "|") {
			if !slices.Contains(known, test) {
				return 0, fmt.Errorf("%s: there is no %s", m.name, test)
			}
		}
		all.tests += "|" + m.tests
	}
	if out, err := all.test(folder); err != nil {
		return 0, fmt.Errorf("tests fail without a mutation:\n%s", out)
	}

	var wg sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan bool, runtime.NumCPU())
	for _, m := range mutations {
		wg.Go(func() {
			slots <- true
			defer func() { <-slots }()
			out, err := m.test(folder)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				survived++
				fmt.Println("SURVIVED", m.name, "before", m.tests)
			} else {
				fmt.Println("caught", m.name, "by", firstFailure(out))
			}
		})
	}
	wg.Wait()
	return survived, nil
}

// test runs the mutation's tests.
func (m mutation) test(folder string) (out string, err error) {
	return command(folder, m.name, "./mutant.test", "-test.run=^("+m.tests+")$", "-test.count=1", "-test.failfast", "-test.timeout=2m")
}

func command(folder, name string, args ...string) (out string, err error) {
	c := exec.Command(args[0], args[1:]...)
	c.Dir = folder
	c.Env = append(os.Environ(), chosen+"="+name, "GOWORK=off")
	data, err := c.CombinedOutput()
	return string(data), err
}

// firstFailure returns the name of the test that failed.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(line, "--- FAIL: "); ok {
			name, _, _ = strings.Cut(name, " ")
			return name
		}
	}
	return "a panic"
}
