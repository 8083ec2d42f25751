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

func TestTakeOverErrors(t *testing.T) {
	cookies := sessions.NewCookieStore([]byte("an old secret"))
	v := newVisitor(t)
	v.session(cookies, put(1, "x"))
	for what, tt := range map[string]struct {
		old  sessions.Store
		want string
	}{
		"the old store fails":     {failingStore{}, "cookiesession/gorilla: session to take over: no connection"},
		"a key that is no string": {cookies, `cookiesession/gorilla: session to take over: key "1" is a int, want a string`},
	} {
		t.Run(what, func(t *testing.T) {
			store := newStore(t, newConfig(t), tt.old)
			v.visit(func(w http.ResponseWriter, r *http.Request) {
				g, err := store.Get(r, name)
				if err == nil || err.Error() != tt.want || !g.IsNew {
					t.Errorf("got %v, new %t", err, g.IsNew)
				}
			})
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
