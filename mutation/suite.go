package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession/mutation/mutated"
)

// tested are the packages whose tests may notice a mutation.
var tested = []string{
	".", "internal/base64dot", "internal/cookiename", "internal/dbscjwt", "internal/keyfile", "internal/value", "tests",
}

// A suite holds the tests of all packages, with all mutations in them.
type suite struct {
	dir   string // for files that only this run needs
	tests []*test
	of    map[int][]*test // that come by a mutation, fastest first
}

// A test is a function of a package's tests.
type test struct {
	name, binary, folder string
	takes                time.Duration
}

//go:embed mutated/mutated.go
var mutatedSource []byte

// build builds the tests of the module in root with the files as they have been edited.
func build(dir, root, module string, files []*sourceFile) (*suite, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	replace := func(path string, text []byte) error {
		with := filepath.Join(dir, strconv.Itoa(len(overlay.Replace))+".go")
		overlay.Replace[path] = with
		return os.WriteFile(with, text, 0o600)
	}
	if err := replace(filepath.Join(root, "internal/mutated/mutated.go"), mutatedSource); err != nil {
		return nil, err
	}
	for _, f := range files {
		if len(f.edits) == 0 {
			continue
		}
		end := f.ast.Name.End()
		f.replace(end, 0, fmt.Sprintf("; import mutated %q", module+"/internal/mutated"))
		if err := replace(f.path, f.edited()); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, text, 0o600); err != nil {
		return nil, err
	}
	s := &suite{dir: dir, of: map[int][]*test{}}
	for i, folder := range tested {
		binary := filepath.Join(dir, fmt.Sprintf("%d.test", i))
		_, err := goCommand(root, "test", "-c", "-vet=off", "-overlay", overlayFile, "-o", binary, "./"+folder)
		if err != nil {
			return nil, err
		}
		all := &test{binary: binary, folder: filepath.Join(root, folder)}
		listed, err := all.run(time.Minute, nil, "-test.list=^(Test|Example|Fuzz)")
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, listed)
		}
		for _, name := range strings.Fields(listed) {
			s.tests = append(s.tests, &test{name: name, binary: binary, folder: all.folder})
		}
	}
	return s, nil
}

// measure runs each test without a mutation and notes how long it takes and which mutations it comes by.
func (s *suite) measure() error {
	var mu sync.Mutex
	var failed []error
	inParallel(s.tests, func(t *test) {
		reached := filepath.Join(s.dir, filepath.Base(t.binary)+"."+t.name)
		start := time.Now()
		out, err := t.run(2*time.Minute, []string{mutated.ReachedVariable + "=" + reached}, only(t.name)...)
		t.takes = time.Since(start)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed = append(failed, fmt.Errorf("%s fails without a mutation:\n%s", t.name, out))
			return
		}
		numbers, err := os.ReadFile(reached)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, err)
		}
		for _, text := range strings.Fields(string(numbers)) {
			if n, err := strconv.Atoi(text); err == nil {
				s.of[n] = append(s.of[n], t)
			}
		}
	})
	for _, tests := range s.of {
		slices.SortFunc(tests, func(a, b *test) int { return cmp.Compare(a.takes, b.takes) })
	}
	return errors.Join(failed...)
}

// A result says which test, or what else, has noticed a mutation: none if it is empty.
type result struct {
	mutation mutation
	by       string
}

// try tries mutations and yields what comes of them. Those that skip says nothing is to be done for are yielded, too.
func (s *suite) try(mutations []mutation, skip func(mutation) bool) iter.Seq[result] {
	return func(yield func(result) bool) {
		results := make(chan result, len(mutations))
		go func() {
			inParallel(mutations, func(m mutation) {
				by := ""
				if !skip(m) {
					by = s.notices(m)
				}
				results <- result{m, by}
			})
			close(results)
		}()
		for r := range results {
			if !yield(r) {
				return
			}
		}
	}
}

// notices returns which test notices a mutation. It runs a few fast ones first.
func (s *suite) notices(m mutation) string {
	for tests := s.of[m.number]; len(tests) > 0; {
		n, takes := 0, time.Duration(0)
		for n < len(tests) && tests[n].binary == tests[0].binary && (n < 8 || takes > time.Second) {
			takes += tests[n].takes
			n++
		}
		names := make([]string, n)
		for i, t := range tests[:n] {
			names[i] = t.name
		}
		chosen := fmt.Sprintf("%s=%d", mutated.ChosenVariable, m.number)
		out, err := tests[0].run(10*time.Second+10*takes, []string{chosen}, only(names...)...)
		if err != nil {
			return firstFailure(out)
		}
		tests = tests[n:]
	}
	return ""
}

// only returns the arguments to run some tests and no others.
func only(names ...string) []string {
	for i := range names {
		names[i] = regexp.QuoteMeta(names[i])
	}
	return []string{"-test.run=^(" + strings.Join(names, "|") + ")$"}
}

// run runs the test's binary. A mutation may never end, or take all memory.
func (t *test) run(limit time.Duration, environment []string, args ...string) (out string, err error) {
	args = append([]string{"-c", `ulimit -v 8000000; exec "$@"`, "sh", t.binary}, args...)
	c := exec.Command("sh", append(args, "-test.short", "-test.failfast", fmt.Sprintf("-test.timeout=%v", limit))...)
	c.Dir = t.folder
	c.Env = append(os.Environ(), environment...)
	var buf bytes.Buffer
	c.Stdout, c.Stderr = &buf, &buf
	err = c.Run()
	return buf.String(), err
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

// inParallel calls do for each element, as many at a time as there are processors.
func inParallel[T any](all []T, do func(T)) {
	work := make(chan T)
	var wg sync.WaitGroup
	for range runtime.NumCPU() {
		wg.Go(func() {
			for each := range work {
				do(each)
			}
		})
	}
	for _, each := range all {
		work <- each
	}
	close(work)
	wg.Wait()
}
