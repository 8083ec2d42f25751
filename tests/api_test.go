package tests

import (
	"context"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/cookiesessiontest"
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

// What applications compile against: each name with its exact type. It's the compiler that checks this.

type (
	apiKey     = cookiesession.Key
	apiKeyring = cookiesession.Keyring
	apiManager = cookiesession.Manager
	apiSession = cookiesession.Session
	apiField   = cookiesession.Field[int]
)

var (
	_ func(string) apiKey                                            = cookiesession.GenerateKey
	_ func(string) ([]byte, error)                                   = cookiesession.ParseSecret
	_ func(...apiKey) (*apiKeyring, error)                           = cookiesession.NewKeyring
	_ func(string) (*apiKeyring, error)                              = cookiesession.ParseKeyring
	_ func(string) (*apiKeyring, error)                              = cookiesession.OpenKeyFile
	_ func(*apiKeyring, ...apiKey) error                             = (*apiKeyring).Replace
	_ func(*apiKeyring) error                                        = (*apiKeyring).Reload
	_ func(*apiKeyring, context.Context, time.Duration, func(error)) = (*apiKeyring).Watch
	_ func(*apiKeyring, time.Time)                                   = (*apiKeyring).RefuseBefore
	_ func(*apiKeyring) []cookiesession.KeyInfo                      = (*apiKeyring).Keys
	_ func(*apiKeyring) string                                       = (*apiKeyring).Fingerprint
	_ func(cookiesession.KeyState) string                            = cookiesession.KeyState.String
	_                                                                = [...]cookiesession.KeyState{cookiesession.KeyPending, cookiesession.KeySealing, cookiesession.KeyOpening, cookiesession.KeyRetired}

	_ func(cookiesession.Config) (*apiManager, error)       = cookiesession.New
	_ func(*apiManager, http.Handler) http.Handler          = (*apiManager).Handler
	_ func(*apiManager, *http.Request) *apiSession          = (*apiManager).Get
	_ func(context.Context) *apiSession                     = cookiesession.FromContext
	_ func(*apiManager, *http.Request) (*apiSession, error) = (*apiManager).Load
	_ func(*apiManager, http.Header, *apiSession) error     = (*apiManager).Save
	_ func(*apiManager, http.Handler) http.Handler          = (*apiManager).ProtectCSRF
	_ func(*apiManager) string                              = (*apiManager).CookieName
	_ func(*apiManager) cookiesession.Stats                 = (*apiManager).Stats

	_ func(*apiSession, string) any                = (*apiSession).Get
	_ func(*apiSession, string, any)               = (*apiSession).Put
	_ func(*apiSession, string) bool               = (*apiSession).Has
	_ func(*apiSession, string) any                = (*apiSession).Pull
	_ func(*apiSession, string, any)               = (*apiSession).Push
	_ func(*apiSession, string, int64) int64       = (*apiSession).Increment
	_ func(*apiSession, ...string)                 = (*apiSession).Delete
	_ func(*apiSession)                            = (*apiSession).Clear
	_ func(*apiSession) []string                   = (*apiSession).Keys
	_ func(*apiSession) map[string]any             = (*apiSession).All
	_ func(*apiSession) error                      = (*apiSession).Err
	_ func(*apiSession) string                     = (*apiSession).ID
	_ func(*apiSession) bool                       = (*apiSession).IsNew
	_ func(*apiSession) bool                       = (*apiSession).IsEmpty
	_ func(*apiSession) bool                       = (*apiSession).Changed
	_ func(*apiSession) int                        = (*apiSession).Size
	_ func(*apiSession) time.Time                  = (*apiSession).CreatedAt
	_ func(*apiSession) time.Time                  = (*apiSession).ExpiresAt
	_ func(*apiSession) *cookiesession.RejectError = (*apiSession).Rejected
	_ func(*apiSession)                            = (*apiSession).Regenerate
	_ func(*apiSession)                            = (*apiSession).Destroy
	_ func(*apiSession, time.Duration)             = (*apiSession).Remember

	_                                                = apiField("a string") == "a string"
	_ func(apiField, *apiSession) int                = apiField.Get
	_ func(apiField, *apiSession, int) int           = apiField.Or
	_ func(apiField, *apiSession) (int, error)       = apiField.Lookup
	_ func(apiField, *apiSession, int)               = apiField.Put
	_ func(apiField, *apiSession, func(int) int) int = apiField.Update
	_ func(apiField, *apiSession) int                = apiField.Pull
	_ func(apiField, *apiSession) bool               = apiField.Has
	_ func(apiField, *apiSession)                    = apiField.Delete
	_ func(apiField, *apiSession, int)               = apiField.Flash
	_ func(apiField, *apiSession, int)               = apiField.FlashNow
	_ func(apiField, *apiSession) int                = apiField.Flashed

	_ func(*apiSession, string, any)   = (*apiSession).Flash
	_ func(*apiSession, string, any)   = (*apiSession).FlashNow
	_ func(*apiSession, string) any    = (*apiSession).Flashed
	_ func(*apiSession) map[string]any = (*apiSession).Flashes
	_ func(*apiSession, ...string)     = (*apiSession).Keep
	_ func(*apiSession)                = (*apiSession).Reflash
	_ func(*apiSession) string         = (*apiSession).CSRFToken
	_ func(*apiSession, string) bool   = (*apiSession).VerifyCSRFToken
	_ func(*apiSession)                = (*apiSession).RegenerateCSRFToken

	_ error                             = cookiesession.ErrNoValue
	_ error                             = cookiesession.ErrCommitted
	_ error                             = (*cookiesession.SizeError)(nil)
	_ error                             = (*cookiesession.RejectError)(nil)
	_ func(cookiesession.Reason) string = cookiesession.Reason.String

	_ http.CookieJar                                                                = cookiesessiontest.NewJar()
	_ func() *cookiesessiontest.Jar                                                 = cookiesessiontest.NewJar
	_ func(testing.TB, *apiManager, *http.Request, map[string]any) *http.Request    = cookiesessiontest.Request
	_ func(testing.TB, *apiManager, *http.Request, func(*apiSession)) *http.Request = cookiesessiontest.RequestWith
	_ func(testing.TB, *apiManager, *http.Response) *apiSession                     = cookiesessiontest.Session
)

// A apiField's address has the apiField's type exactly.
func _(
	k *apiKey, info *cookiesession.KeyInfo, c *cookiesession.Config, stats *cookiesession.Stats, keyStats *cookiesession.KeyStats,
	sizeError *cookiesession.SizeError, keySize *cookiesession.KeySize, rejectError *cookiesession.RejectError,
) {
	for _, p := range []*string{&k.Label, &info.Label, &info.Fingerprint, &c.Name, &c.Scope, &c.Domain, &c.Path, &keySize.Key, &rejectError.Cookie, &rejectError.KeyLabel} {
		_ = p
	}
	for _, p := range []*time.Time{&k.ActivateAt, &k.RetireAt, &info.ActivateAt, &info.RetireAt, &keyStats.LastOpened, &keyStats.LastSealed} {
		_ = p
	}
	for _, p := range []*time.Duration{&c.Lifetime, &c.IdleTimeout, &c.FlashLifetime} {
		_ = p
	}
	for _, p := range []*bool{&c.Partitioned, &c.Insecure, &c.Persistent, &keySize.Flash} {
		_ = p
	}
	for _, p := range []*int{&c.MaxSize, &sizeError.Size, &sizeError.Limit, &keySize.Bytes} {
		_ = p
	}
	for _, p := range []*uint64{&stats.Saved, &stats.SaveErrors, &stats.Late, &keyStats.Opened, &keyStats.Sealed} {
		_ = p
	}
	var (
		_ *[]byte                                           = &k.Secret
		_ *cookiesession.KeyState                           = &info.State
		_ **apiKeyring                                      = &c.Keys
		_ *http.SameSite                                    = &c.SameSite
		_ *func(context.Context, *apiSession) (bool, error) = &c.Revoked
		_ *func(*http.Request) (map[string]any, error)      = &c.Import
		_ *[]string                                         = &c.ImportCookies
		_ *func(*http.Request, *cookiesession.RejectError)  = &c.OnReject
		_ *func(http.ResponseWriter, *http.Request, error)  = &c.ErrorHandler
		_ **http.CrossOriginProtection                      = &c.CSRF
		_ *http.Handler                                     = &c.CSRFFailure
		_ **slog.Logger                                     = &c.Logger
		_ *map[string]cookiesession.KeyStats                = &stats.Keys
		_ *map[string]uint64                                = &stats.Rejected
		_ *[]cookiesession.KeySize                          = &sizeError.Keys
		_ *cookiesession.Reason                             = &rejectError.Reason
		_ *error                                            = &rejectError.Err
	)
}

func TestAPIConstants(t *testing.T) {
	if cookiesession.CSRFHeader != "X-CSRF-Token" || cookiesession.CSRFField != "csrf_token" {
		t.Errorf("got %q and %q", cookiesession.CSRFHeader, cookiesession.CSRFField)
	}
	for reason, want := range map[cookiesession.Reason]string{
		cookiesession.ReasonMalformed: "malformed", cookiesession.ReasonUnknownKey: "unknown-key", cookiesession.ReasonForged: "forged",
		cookiesession.ReasonTorn: "torn", cookiesession.ReasonAmbiguous: "ambiguous", cookiesession.ReasonExpired: "expired",
		cookiesession.ReasonIdle: "idle", cookiesession.ReasonEnded: "ended", cookiesession.ReasonRevoked: "revoked", cookiesession.ReasonFuture: "future",
	} {
		if got := reason.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
