package tests

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
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

// The README's program, examples/quickstart and the package documentation's first example are one.
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
	example := strings.NewReplacer(
		"package cookiesession_test", "package main",
		"// The program of the README: a page that counts its visits.\nfunc Example()", "func main()",
	).Replace(readFile(t, "example_quickstart_test.go"))
	if example != compiled {
		t.Error("the program in example_quickstart_test.go differs from examples/quickstart/main.go")
	}
}

// The README's program counts 1, 2, 3 for a browser, which fetches the page's icon too.
func TestQuickstart(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "quickstart.exe")
	text := strings.Replace(readFile(t, "examples/quickstart/main.go"), "localhost:8000", address, 1)
	here, err := filepath.Abs(filepath.Join(root, "examples/quickstart/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{here: source}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"main.go": text, "overlay.json": string(overlay),
		"keys.json": `{"keys": [{"label": "test", "secret": "hex:9c1185a5c5e9fc54612808977ee8f548b2258d31ddadef707ba62c166051c9e3"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "./examples/quickstart")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	running := exec.Command(program)
	running.Dir = dir
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	defer running.Wait()
	defer running.Process.Kill()

	client := &http.Client{Jar: cookiesessiontest.NewJar()}
	get := func(path string) (string, error) {
		resp, err := client.Get("http://" + strings.Replace(address, "127.0.0.1", "localhost", 1) + path)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return string(body), err
	}
	for range 200 { // until it listens
		if _, err = get("/robots.txt"); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	for n := 1; n <= 3; n++ {
		want := fmt.Sprintf("You have been here %d times.", n)
		if got, err := get("/"); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if _, err := get("/favicon.ico"); err != nil {
			t.Error(err)
		}
	}
}

// OPERATIONS.md shows no Go that isn't compiled as an example.
func TestOperationsCompiles(t *testing.T) {
	files, err := fs.Glob(os.DirFS(root), "example*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	compiled := ""
	for _, file := range files {
		compiled += words(readFile(t, file)) + " "
	}
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

// The pattern of cookie names in OPERATIONS.md has those that a session can have, but for devices', and no others.
func TestCookieNamePattern(t *testing.T) {
	found := regexp.MustCompile(`(?m)^\^__Host-session.*\$$`).FindString(readFile(t, "OPERATIONS.md"))
	if found == "" {
		t.Fatal("OPERATIONS.md has no pattern")
	}
	pattern := regexp.MustCompile(found)
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, func(c *cookiesession.Config) {
			c.SameSite, c.IdleTimeout, c.MaxSize = http.SameSiteStrictMode, time.Minute, 30000
		})
		jar := cookiesessiontest.NewJar()
		names := map[string]bool{}
		for _, use := range []func(*cookiesession.Session){
			func(s *cookiesession.Session) {
				s.Put("large", make([]byte, 9000))
				s.Flash("large", make([]byte, 9000))
			},
			func(s *cookiesession.Session) { s.Get("large") },
			(*cookiesession.Session).Destroy,
		} {
			r := httptest.NewRequest("GET", site.String(), nil)
			r.Header.Set("Cookie", jar.Header(site))
			w := httptest.NewRecorder()
			m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { use(m.Get(r)) })).ServeHTTP(w, r)
			jar.SetHeader(site, w.Result().Header)
			for _, c := range jar.All() {
				names[c.Name] = true
				if !pattern.MatchString(c.Name) {
					t.Errorf("%s doesn't match", c.Name)
				}
			}
			time.Sleep(10 * time.Second)
		}
		if len(names) < 3+3+1+1+1 {
			t.Errorf("saw %v only", names)
		}
	})
	for _, name := range []string{"__Host-session2", "__Host-session.9", "__Host-session.ended.short", "x__Host-session", "__Host-session.flash.0"} {
		if pattern.MatchString(name) {
			t.Errorf("%s matches", name)
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

// Every example of the package documentation that a document or a comment names exists, under the name that pkg.go.dev
// shows: "Reading", "Keyring.Watch", "Config (Revoked)".
func TestNamedExamplesExist(t *testing.T) {
	files, err := fs.Glob(os.DirFS(root), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	declaration := regexp.MustCompile(`(?m)^func Example(?:([A-Z]\w*?)(?:_([A-Z]\w*?))?)?(?:_([a-z]\w*))?\(`)
	named := regexp.MustCompile("\\b[Ee]xample(?: |\n(?:// )?)[`\"]([^`\"]+)")
	for _, file := range files {
		for _, match := range declaration.FindAllStringSubmatch(readFile(t, file), -1) {
			name, suffix := match[1], match[3]
			if match[2] != "" {
				name += "." + match[2]
			}
			if suffix != "" {
				suffix = strings.ToUpper(suffix[:1]) + suffix[1:]
			}
			switch {
			case name == "":
				name = suffix
			case suffix != "":
				name += " (" + suffix + ")"
			}
			shown[name] = true
		}
	}
	found := 0
	for _, name := range append(files, docs(t)...) {
		for _, match := range named.FindAllStringSubmatch(readFile(t, name), -1) {
			found++
			if !shown[match[1]] {
				t.Errorf("%s names the example %q, which doesn't exist", name, match[1])
			}
		}
	}
	if found == 0 {
		t.Error("nothing names an example")
	}
}

// Every link from one file of the project to another, or to a heading, leads somewhere.
func TestLinks(t *testing.T) {
	code := regexp.MustCompile("(?s)```.*?```")
	link := regexp.MustCompile(`\]\(([^)#:]*)(?:#([^)]*))?\)`)
	text := func(name string) string { return code.ReplaceAllString(readFile(t, name), "") }
	for _, doc := range docs(t) {
		for _, match := range link.FindAllStringSubmatch(text(doc), -1) {
			target, heading := filepath.Join(filepath.Dir(doc), match[1]), match[2]
			if match[1] == "" {
				target = doc
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which doesn't exist", doc, match[1])
			} else if heading != "" && !slices.Contains(headings(text(target)), heading) {
				t.Errorf("%s links to %s#%s, and there is no such heading", doc, match[1], heading)
			}
		}
	}
}

// The rows of a table have as many cells as its head: a renderer drops what is beyond. A "|" within code separates cells,
// too (GitHub Flavored Markdown, 4.10).
func TestTables(t *testing.T) {
	code := regexp.MustCompile("(?s)```.*?```")
	table := regexp.MustCompile(`(?m)(?:^\|.*\n)+`)
	separator := regexp.MustCompile(`(?:^|[^\\])\|`)
	for _, doc := range docs(t) {
		for _, rows := range table.FindAllString(code.ReplaceAllString(readFile(t, doc), ""), -1) {
			head, rest, _ := strings.Cut(rows, "\n")
			for row := range strings.Lines(rest) {
				if got, want := len(separator.FindAllString(row, -1)), len(separator.FindAllString(head, -1)); got != want {
					t.Errorf("%s: got %d separators of cells, want %d: %s", doc, got, want, row)
				}
			}
		}
	}
}

// headings returns what links to the headings of a document end with, as GitHub makes it.
func headings(text string) (names []string) {
	for _, match := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(match[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}

// docs returns the names of the documents in root and below.
func docs(t *testing.T) (names []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (path == ".git" || d.Name() == "node_modules"):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".md"):
			names = append(names, path)
		}
		return nil
	})
	if err != nil || len(names) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	return names
}

// words returns text with single spaces between words, so that indentation doesn't count.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }
