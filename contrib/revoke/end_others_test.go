//go:build unix

package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// A meanwhile is an Engine that lets something happen once, between what EndOthers has asked and its entry.
type meanwhile struct {
	revoke.Engine
	happen atomic.Pointer[func()]
	asked  atomic.Int64 // how often entries came with a condition
}

func (m *meanwhile) Publish(ctx context.Context, e revoke.Entry, only *revoke.Condition) (revoke.Entry, error) {
	if only != nil {
		m.asked.Add(1)
		if happen := m.happen.Swap(nil); happen != nil {
			(*happen)()
		}
	}
	return m.Engine.Publish(ctx, e, only)
}

// A race is a session of ada's that ends her others on one server, while something happens on another.
type race struct {
	t           *testing.T
	engine      revoke.Engine // of all servers
	path        string        // of its file, if it has one
	here, there *revoke.List
	manager     *cookiesession.Manager
	own, other  *cookiesession.Session
	otherEnds   error // what EndOthers of the other returned, if it was called
}

func (r *race) open(e revoke.Engine) *revoke.List {
	l, err := revoke.Open(r.t.Context(), revoke.Config{
		Engine: e, Keys: []string{"user"}, MaxLifetime: time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	must(r.t, err)
	r.t.Cleanup(func() { l.Close() })
	return l
}

func (r *race) login(user string) *cookiesession.Session {
	s, err := r.manager.Load(new(http.Request))
	must(r.t, err)
	login := r.here.Begin()
	s.Put("user", user)
	login.Keep(s)
	return s
}

func (r *race) end(l *revoke.List, user string) { must(r.t, l.End(r.t.Context(), "user", user)) }

// wantOver fails the test if a server, old or new, that knows all that the engine holds lets s in, or doesn't.
func (r *race) wantOver(what string, s *cookiesession.Session, want bool) {
	r.t.Helper()
	servers := map[string]*revoke.List{"this server": r.here, "the other": r.there, "a new one": r.open(r.engine)}
	for name, l := range servers {
		must(r.t, l.Sync(r.t.Context()))
		if got, err := l.Revoked(r.t.Context(), s); err != nil || got != want {
			r.t.Errorf("%s on %s: got over: %v, %v; want %v", what, name, got, err, want)
		}
	}
}

// Whatever happens between the moment in which EndOthers has asked whether its session is over and that in which the
// engine takes its entry: what has ended the session by then is not forgiven.
func TestEndOthersMeanwhile(t *testing.T) {
	for _, test := range []struct {
		name   string
		happen func(r *race)
		want   error // of EndOthers
		over   bool  // the session is, in the end
		asked  int64 // how often EndOthers tries
	}{
		{"nothing", func(r *race) {}, nil, false, 1},
		{"End elsewhere", func(r *race) { r.end(r.there, "ada") }, revoke.ErrRevoked, true, 1},
		{"End elsewhere, of which this server has heard since", func(r *race) {
			r.end(r.there, "ada")
			must(r.t, r.here.Sync(r.t.Context()))
			if over, err := r.here.Revoked(r.t.Context(), r.own); !over || err != nil {
				r.t.Errorf("got over: %v, %v; want this server to know", over, err)
			}
		}, revoke.ErrRevoked, true, 1},
		{"End here", func(r *race) { r.end(r.here, "ada") }, revoke.ErrRevoked, true, 1},
		{"two Ends elsewhere", func(r *race) { r.end(r.there, "ada"); r.end(r.there, "ada") }, revoke.ErrRevoked, true, 1},
		{"End elsewhere, and of others before and after", func(r *race) {
			r.end(r.there, "grace")
			r.end(r.there, "ada")
			r.end(r.there, "alan")
		}, revoke.ErrRevoked, true, 1},
		{"EndOthers of the other session", func(r *race) {
			r.otherEnds = r.there.EndOthers(r.t.Context(), r.other, "user")
		}, revoke.ErrRevoked, true, 1},
		{"End of somebody else", func(r *race) { r.end(r.there, "grace") }, nil, false, 1},
		{"EndAll", func(r *race) { must(r.t, r.there.EndAll(r.t.Context())) }, nil, true, 1},
		{"EndSession of its own", func(r *race) {
			must(r.t, r.there.EndSession(r.t.Context(), r.own.ID()))
		}, nil, true, 1},
		{"what had ended before the login is put back", func(r *race) {
			r.putBackAll()
		}, nil, false, 1},
		{"an End is put back that this server hasn't heard of", func(r *race) {
			e, err := r.there.Entry("user", "ada")
			must(r.t, err)
			e.Pos = uint64(time.Now().UnixMicro())
			must(r.t, r.engine.PutBack(r.t.Context(), []revoke.Entry{e}))
		}, revoke.ErrRevoked, true, 1},
		{"the file is compacted, or lost", func(r *race) { r.lose() }, nil, false, 2},
		{"the file is compacted, or lost, and End elsewhere", func(r *race) {
			r.lose()
			r.end(r.there, "ada")
		}, revoke.ErrRevoked, true, 1},
		{"End elsewhere, and the file is compacted", func(r *race) {
			r.end(r.there, "ada")
			r.fill()
		}, revoke.ErrRevoked, true, 1},
	} {
		for name, engine := range map[string]func(t *testing.T) (e revoke.Engine, path string){
			"memory": func(t *testing.T) (revoke.Engine, string) { return revoke.Memory(), "" },
			"file": func(t *testing.T) (revoke.Engine, string) {
				path := filepath.Join(t.TempDir(), "revocations")
				return revoke.File(path), path
			},
		} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				r := newRace(t, engine)
				m := &meanwhile{Engine: r.engine}
				r.here = r.open(m)
				r.end(r.here, "ada") // she comes back
				r.own, r.other = r.login("ada"), r.login("ada")
				until, cancel := r.here.Until(t.Context(), r.own)
				defer cancel()
				happen := func() { test.happen(r) }
				m.happen.Store(&happen)
				if err := r.here.EndOthers(t.Context(), r.own, "user"); !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if got := m.asked.Load(); got != test.asked {
					t.Errorf("EndOthers has tried %d times, want %d", got, test.asked)
				}
				r.wantOver("its session", r.own, test.over)
				r.wantOver("the other session", r.other, r.otherEnds != nil || test.name != "EndOthers of the other session")
				if got := until.Err() != nil; got != test.over {
					t.Errorf("its context has ended: %v, want %v", got, test.over)
				}
				r.end(r.there, "ada")
				r.wantOver("its session, after another End", r.own, true)
			})
		}
	}
}

// A context of Until that begins while EndOthers is under way, when the session's cookie is the old one still, goes on
// too, and ends with the session.
func TestEndOthersSparesWhatBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &meanwhile{Engine: revoke.Memory()}
		r := newRace(t, func(t *testing.T) (revoke.Engine, string) { return engine, "" })
		r.here = r.there
		r.own, r.other = r.login("ada"), r.login("ada")
		contexts := map[*cookiesession.Session]context.Context{}
		begin := func() {
			for _, s := range []*cookiesession.Session{r.own, r.other} {
				ctx, cancel := r.here.Until(t.Context(), s)
				t.Cleanup(cancel)
				contexts[s] = ctx
			}
			// As for a double click. What fails spares nothing any more, but the first call does.
			canceled, cancel := context.WithCancel(t.Context())
			cancel()
			if err := r.here.EndOthers(canceled, r.own, "user"); !errors.Is(err, context.Canceled) {
				t.Errorf("a second call: got %v, want %v", err, context.Canceled)
			}
		}
		engine.happen.Store(&begin)
		must(t, r.here.EndOthers(t.Context(), r.own, "user"))
		heard()
		if err := contexts[r.own].Err(); err != nil {
			t.Errorf("its own context ended: %v", context.Cause(contexts[r.own]))
		}
		if got := context.Cause(contexts[r.other]); !errors.Is(got, revoke.ErrRevoked) {
			t.Errorf("the other's context: got %v, want ErrRevoked", got)
		}
		r.end(r.here, "ada")
		if got := context.Cause(contexts[r.own]); !errors.Is(got, revoke.ErrRevoked) {
			t.Errorf("after End: got %v, want ErrRevoked", got)
		}
	})
}

func newRace(t *testing.T, engine func(t *testing.T) (e revoke.Engine, path string)) *race {
	t.Helper()
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("test"))
	must(t, err)
	r := &race{t: t}
	r.manager, err = cookiesession.New(cookiesession.Config{Keys: keys})
	must(t, err)
	r.engine, r.path = engine(t)
	r.there = r.open(r.engine)
	return r
}

// putBackAll puts back everything that the engine holds.
func (r *race) putBackAll() {
	var all []revoke.Entry
	_, _, err := r.engine.Read(r.t.Context(), "", func(es []revoke.Entry) { all = append(all, es...) })
	must(r.t, err)
	must(r.t, r.engine.PutBack(r.t.Context(), all))
}

// fill adds so much that may be forgotten that the engine compacts what it holds.
func (r *race) fill() {
	for range 4 {
		must(r.t, r.engine.PutBack(r.t.Context(), make([]revoke.Entry, 1000)))
	}
}

// lose makes cursors worthless.
func (r *race) lose() {
	if r.path == "" {
		r.fill()
		return
	}
	must(r.t, os.Remove(r.path))
}

// Of two clicks the second spares nothing, since a thief's copy would be spared just so. It doesn't log the visitor out
// either, whichever response comes first, and once the first has come the visitor can click again.
func TestEndOthersClickedTwice(t *testing.T) {
	for _, test := range []struct {
		name  string
		early bool // the second request has been let in when the first ends the others
		want  string
	}{
		{"both were let in", true, revoke.ErrRevoked.Error()},
		{"the second came later", false, `value of "user" can't be compared`},
	} {
		for _, order := range [][2]int{{0, 1}, {1, 0}} {
			t.Run(fmt.Sprint(test.name, ", responses arrive as ", order), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newFleet(t).server(nil)
					b, other := newBrowser(), newBrowser()
					b.login(s, "ada")
					other.login(s, "ada")
					copied := b.copied()
					var errs [2]error
					click := func(i int, meanwhile func()) http.Header {
						w := httptest.NewRecorder()
						s.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							session := s.manager.Get(r)
							if test.early {
								session.Get("user")
							}
							meanwhile()
							errs[i] = s.list.EndOthers(r.Context(), session, "user")
						})).ServeHTTP(w, b.request())
						return w.Result().Header
					}
					var headers [2]http.Header
					headers[1] = click(1, func() { headers[0] = click(0, func() {}) })
					if errs[0] != nil || errs[1] == nil || !strings.Contains(errs[1].Error(), test.want) {
						t.Errorf("got %v and %v, want nil and %s", errs[0], errs[1], test.want)
					}
					for _, i := range order {
						b.jar.SetHeader(site, headers[i])
					}
					for range 2 {
						b.want(t, s, "ada")
						other.want(t, s, "nobody")
						copied.want(t, s, "nobody")
						b.jar.SetHeader(site, click(0, func() {}))
						if errs[0] != nil {
							t.Errorf("a later click: got %v, want nil", errs[0])
						}
					}
				})
			})
		}
	}
}

// An entry that the engine has, though its answer was lost, ends the session with the others.
func TestEndOthersAnswerLost(t *testing.T) {
	r := newRace(t, func(*testing.T) (revoke.Engine, string) { return revoke.Memory(), "" })
	unanswered := &unanswered{Engine: r.engine}
	r.here = r.open(unanswered)
	r.own, r.other = r.login("ada"), r.login("ada")
	unanswered.next.Store(true)
	if err := r.here.EndOthers(t.Context(), r.own, "user"); !errors.Is(err, errDown) {
		t.Errorf("got %v, want the engine's error", err)
	}
	if err := r.here.EndOthers(t.Context(), r.own, "user"); !errors.Is(err, revoke.ErrRevoked) {
		t.Errorf("again: got %v, want ErrRevoked", err)
	}
	r.wantOver("its session", r.own, true)
	r.wantOver("the other session", r.other, true)
}

// unanswered does what it is asked to, and fails.
type unanswered struct {
	revoke.Engine
	next atomic.Bool
}

func (u *unanswered) Publish(ctx context.Context, e revoke.Entry, only *revoke.Condition) (revoke.Entry, error) {
	e, err := u.Engine.Publish(ctx, e, only)
	if u.next.Swap(false) {
		return e, errDown
	}
	return e, err
}

// An engine that can't tell isn't asked for ever.
func TestEndOthersConflicts(t *testing.T) {
	const tries = 10
	for conflicts, want := range map[int]error{tries - 1: nil, tries: revoke.ErrConflict, 1 << 30: revoke.ErrConflict} {
		r := newRace(t, func(*testing.T) (revoke.Engine, string) { return revoke.Memory(), "" })
		engine := &doubtful{Engine: r.engine, conflicts: conflicts}
		r.here = r.open(engine)
		r.own, r.other = r.login("ada"), r.login("ada")
		if err := r.here.EndOthers(t.Context(), r.own, "user"); !errors.Is(err, want) {
			t.Errorf("after %d conflicts: got %v, want %v", conflicts, err, want)
		}
		if engine.asked != tries {
			t.Errorf("after %d conflicts: EndOthers has tried %d times, want %d", conflicts, engine.asked, tries)
		}
		r.wantOver("its session", r.own, false)
		r.wantOver("the other session", r.other, want == nil)
	}
}

// doubtful can't tell at first whether a condition holds.
type doubtful struct {
	revoke.Engine
	conflicts, asked int
}

func (d *doubtful) Publish(ctx context.Context, e revoke.Entry, only *revoke.Condition) (revoke.Entry, error) {
	if only != nil {
		if d.asked++; d.asked <= d.conflicts {
			return e, revoke.ErrConflict
		}
	}
	return d.Engine.Publish(ctx, e, only)
}
