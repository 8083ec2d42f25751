// Package releasetest shows that the tree can be released: that go get finds each module as users will, alone, in an
// empty module, from a module proxy that has the tree under the version which its modules require of one another. The
// proxy is a directory.
package releasetest

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"
)

const root = "github.com/seed-50e21e88/cookiesession"

// programs use each module that is released, by its directory: what a newcomer would write first. A directory of
// contrib that is missing here fails the test.
var programs = map[string]string{
	".": `
		import "github.com/seed-50e21e88/cookiesession"
		func main() { _, err := cookiesession.New(cookiesession.Config{Keys: keys()}); check(err) }`,
	"contrib/echo": `
		import "github.com/labstack/echo/v5"
		import echosession "github.com/seed-50e21e88/cookiesession/contrib/echo"
		func main() { echo.New().Use(echosession.Middleware(manager())) }`,
	"contrib/fiber": `
		import "github.com/gofiber/fiber/v3"
		import fibersession "github.com/seed-50e21e88/cookiesession/contrib/fiber"
		func main() { fiber.New().Use("*", fibersession.Middleware(manager())) }`,
	"contrib/gin": `
		import "github.com/gin-gonic/gin"
		import ginsession "github.com/seed-50e21e88/cookiesession/contrib/gin"
		func main() { gin.SetMode(gin.ReleaseMode); gin.New().Use(ginsession.Sessions(manager())) }`,
	"contrib/gorilla": `
		import "github.com/gorilla/sessions"
		import "github.com/seed-50e21e88/cookiesession/contrib/gorilla"
		func main() { gorilla.NewCookieStore("` + secret + `", sessions.NewCookieStore([]byte("old"))) }`,
	"contrib/otel": `
		import "go.opentelemetry.io/otel/metric/noop"
		import otelsession "github.com/seed-50e21e88/cookiesession/contrib/otel"
		func main() { _, err := otelsession.Observe(noop.NewMeterProvider(), manager(), otelsession.Options{}); check(err) }`,
	"contrib/prometheus": `
		import "github.com/prometheus/client_golang/prometheus"
		import promsession "github.com/seed-50e21e88/cookiesession/contrib/prometheus"
		func main() { prometheus.MustRegister(promsession.NewCollector(manager(), promsession.Options{})) }`,
	"contrib/revoke": `
		import "context"
		import "database/sql"
		import "time"
		import "github.com/seed-50e21e88/cookiesession/contrib/revoke"
		import "github.com/seed-50e21e88/cookiesession/contrib/revoke/postgres"
		import revokeredis "github.com/seed-50e21e88/cookiesession/contrib/revoke/redis"
		func main() {
			postgres.New(new(sql.DB), postgres.Options{})
			revokeredis.New(func(context.Context, ...any) (any, error) { return nil, nil }, revokeredis.Options{})
			list, err := revoke.Open(context.Background(),
				revoke.Config{Engine: revoke.Memory(), Keys: []string{"user"}, MaxLifetime: 24 * time.Hour})
			check(err)
			check(list.Close())
		}`,
}

const secret = "hex:9c1185a5c5e9fc54612808977ee8f548b2258d31ddadef707ba62c166051c9e3"

// common is a file of each program.
const common = `package main

import "github.com/seed-50e21e88/cookiesession"

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func keys() *cookiesession.Keyring {
	keys, err := cookiesession.ParseKeyring("` + secret + `")
	check(err)
	return keys
}

func manager() *cookiesession.Manager {
	m, err := cookiesession.New(cookiesession.Config{Keys: keys()})
	check(err)
	return m
}
`

// isReleased reports whether users get the module in a directory: the root, and those of contrib that don't only hold
// tests.
func isReleased(dir string) bool {
	return dir == "." || strings.HasPrefix(dir, "contrib/") && !strings.HasSuffix(dir, "test") && !strings.HasSuffix(dir, "tests")
}

// A tree is what would be committed: the files that git tracks or would add, by their paths from the top.
type tree struct {
	top   string
	files []string
}

func openTree(t *testing.T) tree {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	list.Dir = top
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	tr := tree{top: top}
	for file := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(top, file)); err == nil { // or it's about to be deleted
			tr.files = append(tr.files, file)
		}
	}
	return tr
}

// modules returns the go.mod files by directory.
func (tr tree) modules(t *testing.T) map[string]*modfile.File {
	t.Helper()
	found := make(map[string]*modfile.File)
	for _, file := range tr.files {
		dir := path.Dir(file)
		if path.Base(file) != "go.mod" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(tr.top, file))
		if err != nil {
			t.Fatal(err)
		}
		f, err := modfile.Parse(file, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		found[dir] = f
	}
	return found
}

// pathOf returns the path of the module in a directory.
func pathOf(dir string) string { return path.Join(root, dir) }

// version returns the version that the modules require of one another.
func version(t *testing.T, modules map[string]*modfile.File) string {
	t.Helper()
	found := make(map[string][]string)
	for dir, f := range modules {
		if f.Module.Mod.Path != pathOf(dir) {
			t.Errorf("%s/go.mod: module %s, want %s", dir, f.Module.Mod.Path, pathOf(dir))
		}
		for _, r := range f.Require {
			if r.Mod.Path == root || strings.HasPrefix(r.Mod.Path, root+"/") {
				found[r.Mod.Version] = append(found[r.Mod.Version], dir)
			}
		}
	}
	if len(found) != 1 {
		t.Fatalf("want one version, required by all: got %v", found)
	}
	for v := range found {
		if err := module.Check(root, v); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(v, "v0.0.0") {
			t.Fatalf("got %s, which no proxy will have: %v", v, found)
		}
		return v
	}
	return ""
}

// A source is a file that goes into a module's zip.
type source struct{ name, at string }

func (s source) Path() string                 { return s.name }
func (s source) Lstat() (os.FileInfo, error)  { return os.Lstat(s.at) }
func (s source) Open() (io.ReadCloser, error) { return os.Open(s.at) }

// zip returns a module's files as the go command packs them from a repository: without those of modules below it, and
// with the repository's licence if it has none of its own.
func (tr tree) zip(t *testing.T, dir, version string) []byte {
	t.Helper()
	var sources []modzip.File
	licence := false
	for _, file := range tr.files {
		name, inside := file, dir == "."
		if !inside {
			name, inside = strings.CutPrefix(file, dir+"/")
		}
		if inside {
			sources = append(sources, source{name, filepath.Join(tr.top, file)})
			licence = licence || name == "LICENSE"
		}
	}
	if !licence {
		sources = append(sources, source{"LICENSE", filepath.Join(tr.top, "LICENSE")})
	}
	var b bytes.Buffer
	if err := modzip.Create(&b, module.Version{Path: pathOf(dir), Version: version}, sources); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// newProxy fills a directory as GOPROXY's protocol wants it and returns its URL.
func newProxy(t *testing.T, tr tree, modules map[string]*modfile.File, version string) string {
	t.Helper()
	proxy := t.TempDir()
	for dir := range modules {
		at := filepath.Join(proxy, filepath.FromSlash(pathOf(dir)), "@v")
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		gomod, err := os.ReadFile(filepath.Join(tr.top, dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		info, err := json.Marshal(struct {
			Version string
			Time    time.Time
		}{version, time.Now().UTC()})
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{
			"list":            []byte(version + "\n"),
			version + ".info": info,
			version + ".mod":  gomod,
			version + ".zip":  tr.zip(t, dir, version),
		} {
			if err := os.WriteFile(filepath.Join(at, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return "file://" + filepath.ToSlash(proxy)
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// A user is a directory in which go commands run as somebody would run them who has nothing of this project.
type user struct {
	dir string
	env []string
}

// environment is that of users. What the real module cache has of other modules serves as a proxy, too, and nothing
// goes into it.
func environment(t *testing.T, proxy string) []string {
	t.Helper()
	cache := "file://" + filepath.ToSlash(filepath.Join(goEnv(t, "GOMODCACHE"), "cache", "download"))
	return append(os.Environ(),
		"GOPROXY="+strings.Join([]string{proxy, cache, goEnv(t, "GOPROXY")}, ","),
		"GOSUMDB=off", // it doesn't know this tree, and of the others go.sum has what they must be
		"GOMODCACHE="+t.TempDir(),
		"GOFLAGS=-modcacherw -trimpath", // so that t can remove it, and packages need compiling only once
		"GOWORK=off",
	)
}

func (u user) run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = u.dir, u.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func TestGoGet(t *testing.T) {
	tr := openTree(t)
	modules := tr.modules(t)
	v := version(t, modules)
	maps.DeleteFunc(modules, func(dir string, _ *modfile.File) bool { return !isReleased(dir) })
	env := environment(t, newProxy(t, tr, modules, v))
	for _, dir := range slices.Sorted(maps.Keys(modules)) {
		t.Run(dir, func(t *testing.T) {
			program, ok := programs[dir]
			if !ok {
				t.Fatal("write a program that uses it")
			}
			u := user{t.TempDir(), env}
			for name, text := range map[string]string{"main.go": "package main\n" + program, "common.go": common} {
				if err := os.WriteFile(filepath.Join(u.dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			u.run(t, "go", "mod", "init", "example.com/program")
			u.run(t, "go", "get", pathOf(dir)+"@"+v)
			u.run(t, "go", "build", "-o", "program", ".")
			u.run(t, "./program")
		})
	}
	t.Run("the command", func(t *testing.T) {
		u := user{t.TempDir(), env}
		u.env = append(slices.Clip(env), "GOBIN="+u.dir)
		u.run(t, "go", "install", root+"/cmd/cookiesession@"+v)
		u.run(t, "./cookiesession", "keys", "new", "-file", "keys.json")
	})
}

// The replace directives that let the modules of the tree use one another say where, and nothing else: users don't
// get them, so what needs another one would build here only.
func TestReplaces(t *testing.T) {
	for dir, f := range openTree(t).modules(t) {
		for _, r := range f.Replace {
			to, err := filepath.Rel(filepath.FromSlash(dir), filepath.FromSlash(strings.TrimPrefix(strings.TrimPrefix(r.Old.Path, root), "/")))
			if r.Old.Path == root {
				to, err = filepath.Rel(filepath.FromSlash(dir), ".")
			}
			if err != nil {
				t.Fatal(err)
			}
			ours := r.Old.Path == root || strings.HasPrefix(r.Old.Path, root+"/")
			if !ours || r.Old.Version != "" || filepath.ToSlash(to) != r.New.Path {
				t.Errorf("%s/go.mod: replace %s => %s", dir, r.Old.Path, r.New.Path)
			}
		}
	}
}

// What goes into the zips: the licence, without which pkg.go.dev shows no documentation, and no other module.
func TestZips(t *testing.T) {
	tr := openTree(t)
	for dir := range tr.modules(t) {
		if !isReleased(dir) {
			continue
		}
		b := tr.zip(t, dir, "v1.0.0")
		r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range r.File {
			names = append(names, strings.TrimPrefix(f.Name, fmt.Sprintf("%s@v1.0.0/", pathOf(dir))))
		}
		if !slices.Contains(names, "LICENSE") || !slices.Contains(names, "go.mod") {
			t.Errorf("%s: no LICENSE or no go.mod in %v", dir, names)
		}
		for _, name := range names {
			if path.Base(name) == "go.mod" && name != "go.mod" {
				t.Errorf("%s: got %s", dir, name)
			}
		}
		if len(b) > 4<<20 {
			t.Errorf("%s: got %d bytes", dir, len(b))
		}
	}
}
