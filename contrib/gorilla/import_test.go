package gorilla

import (
	"errors"
	"net/http"
	"reflect"
	"testing"

	"github.com/gorilla/sessions"
	"github.com/seed-50e21e88/cookiesession"
)

func TestTakeOver(t *testing.T) {
	files := sessions.NewFilesystemStore(t.TempDir(), []byte("a secret for files"))
	for what, old := range map[string]sessions.Store{
		"cookies":              sessions.NewCookieStore([]byte("an old secret")),
		"cookies, old key":     sessions.NewCookieStore([]byte("an older secret"), []byte("0123456789abcdef")),
		"files":                files,
		"nobody's cookie name": nil,
	} {
		t.Run(what, func(t *testing.T) {
			c := newConfig(t)
			store := newStore(t, c, sessions.NewCookieStore([]byte("an old secret"), nil, []byte("an older secret"), []byte("0123456789abcdef")), files)
			v := newVisitor(t)
			if old == nil {
				v.jar.SetHeader(site, http.Header{"Set-Cookie": {name + "=forged"}})
				if got := v.values(store); len(got) != 0 {
					t.Errorf("got %v", got)
				}
				return
			}
			v.session(old, func(g *sessions.Session) bool {
				g.Options.Secure, g.Options.SameSite = true, http.SameSiteLaxMode
				g.Values["user"] = account{Name: "grace"}
				g.AddFlash("hello")
				return true
			})
			v.session(store, func(g *sessions.Session) bool {
				if g.IsNew || !reflect.DeepEqual(g.Values["user"], account{Name: "grace"}) {
					t.Errorf("got %v, new %t", g.Values, g.IsNew)
				}
				return true // nothing was changed: importing is a change
			})
			for _, c := range v.jar.All() {
				if c.Name == name {
					t.Errorf("the old cookie is still there")
				}
			}
			v.session(store, func(g *sessions.Session) bool {
				if flashes := g.Flashes(); len(flashes) != 1 || flashes[0] != "hello" {
					t.Errorf("got flashes %v", flashes)
				}
				return true
			})
			if got := v.values(store); len(got) != 1 {
				t.Errorf("got %v, want the user only", got)
			}
		})
	}
}

// A failingStore is a store whose database is down.
type failingStore struct{ sessions.Store }

func (failingStore) New(*http.Request, string) (*sessions.Session, error) {
	return nil, errors.New("no connection")
}

// "Try later": nothing is saved, so that the old session isn't shut out.
func TestTakeOverFails(t *testing.T) {
	store := newStore(t, newConfig(t), failingStore{})
	newVisitor(t).visit(func(w http.ResponseWriter, r *http.Request) {
		g, err := store.Get(r, name)
		if want := "cookiesession/gorilla: session to take over: no connection"; err == nil || err.Error() != want || !g.IsNew {
			t.Errorf("got %v, new %t; want %s", err, g.IsNew, want)
		}
		g.Values["user"] = "grace"
		if err := g.Save(r, w); err == nil {
			t.Error("Save replaced what couldn't be asked for")
		}
	})
}

// A valuesStore has one session, in no particular encoding.
type valuesStore struct {
	sessions.Store
	values map[any]any
}

func (s valuesStore) New(*http.Request, string) (*sessions.Session, error) {
	g := sessions.NewSession(s, name)
	g.Values = s.values
	return g, nil
}

// A session that can never be taken over counts as none, whole: a later try would find no more, and in the meantime
// nothing could be saved.
func TestTakeOverNever(t *testing.T) {
	type unregistered struct{ X int }
	good := valuesStore{values: map[any]any{"user": "grace"}}
	for what, tt := range map[string]struct {
		old  []sessions.Store
		want string // the user
	}{
		"a good one":                       {[]sessions.Store{good}, "grace"},
		"a key that is no string":          {[]sessions.Store{valuesStore{values: map[any]any{"user": "ada", 1: true}}}, ""},
		"a value that gob can't encode":    {[]sessions.Store{valuesStore{values: map[any]any{"user": "ada", "x": unregistered{1}}}}, ""},
		"such a one, but the next is good": {[]sessions.Store{valuesStore{values: map[any]any{"user": "ada", 1: true}}, good}, "grace"},
	} {
		t.Run(what, func(t *testing.T) {
			store := newStore(t, newConfig(t), tt.old...)
			v := newVisitor(t)
			v.session(store, func(g *sessions.Session) bool {
				user, _ := g.Values["user"].(string)
				if user != tt.want || g.IsNew != (tt.want == "") || len(g.Values) > 1 {
					t.Errorf("got %v, new %t; want user %q", g.Values, g.IsNew, tt.want)
				}
				g.Values["new"] = "value"
				return true
			})
			if got := v.values(store); got["new"] != "value" {
				t.Errorf("got %v, want what was saved", got)
			}
		})
	}
}

func TestImport(t *testing.T) {
	old := sessions.NewCookieStore([]byte("an old secret"))
	c := newConfig(t)
	c.Import, c.ImportCookies = Import(name, old), []string{name}
	m, err := cookiesession.New(c)
	if err != nil {
		t.Fatal(err)
	}
	v := newVisitor(t)
	v.session(old, put("user", account{Name: "grace"}))
	for i := range 2 {
		v.visit(m.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s := m.Get(r)
			if got := cookiesession.Field[account]("user").Get(s); got.Name != "grace" || s.IsNew() != (i == 0) {
				t.Errorf("request %d: got %v, new %t", i, got, s.IsNew())
			}
		})).ServeHTTP)
	}
	if cookies := v.jar.All(); len(cookies) != 1 || cookies[0].Name != m.CookieName() {
		t.Errorf("got %d cookies", len(cookies))
	}
}

func TestImportNever(t *testing.T) {
	for what, tt := range map[string]struct {
		values map[any]any
		want   map[string]any
	}{
		"a key that is no string": {map[any]any{"user": "ada", 1: true}, nil},
		"a good one":              {map[any]any{"user": "ada"}, map[string]any{"user": "ada"}},
	} {
		got, err := Import(name, valuesStore{values: tt.values})(nil)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %v, %v, want %v", what, got, err, tt.want)
		}
	}
}
