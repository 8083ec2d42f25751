package cookiesession_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// messages returns what a request that reads all messages would get, without having it read them.
func (v *visitor) messages() string {
	all := v.load().Flashes()
	var messages []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		messages = append(messages, fmt.Sprintf("%s=%v", key, all[key]))
	}
	return strings.Join(messages, " ")
}

func (v *visitor) wantMessages(want string) {
	v.t.Helper()
	if got := v.messages(); got != want {
		v.t.Errorf("got messages %q, want %q", got, want)
	}
}

// Each case is one request, which brought "old" and "other". What it leaves costs as many lines as it must.
func TestFlash(t *testing.T) {
	for _, test := range []struct {
		name  string
		do    func(t *testing.T, s *cookiesession.Session)
		wrote string
		left  string
	}{
		{"nothing", func(*testing.T, *cookiesession.Session) {}, "", "old=1 other=2"},
		{"session read", func(_ *testing.T, s *cookiesession.Session) { s.Get("n"); s.ID(); s.Size() }, "", "old=1 other=2"},
		{"session changed", func(_ *testing.T, s *cookiesession.Session) { s.Put("n", 2) }, "[]", "old=1 other=2"},
		{"Regenerate", func(_ *testing.T, s *cookiesession.Session) { s.Regenerate() }, "[]", "old=1 other=2"},
		{"Clear", func(_ *testing.T, s *cookiesession.Session) { s.Clear() }, "[]", "old=1 other=2"},
		{"Destroy", func(_ *testing.T, s *cookiesession.Session) { s.Destroy() }, "-[] [ended]", "old=1 other=2"},
		{"Destroy and Flash", func(_ *testing.T, s *cookiesession.Session) { s.Destroy(); s.Flash("new", 3) }, "-[] [.flash] [ended]", "new=3 old=1 other=2"},
		{"Flash and Destroy", func(_ *testing.T, s *cookiesession.Session) { s.Flash("new", 3); s.Destroy() }, "-[] [.flash] [ended]", "new=3 old=1 other=2"},

		{"Flashed", func(t *testing.T, s *cookiesession.Session) {
			for range 2 {
				if got := s.Flashed("old"); got != int64(1) {
					t.Errorf("Flashed: got %v, want 1", got)
				}
			}
		}, "-[.flash]", ""},
		{"Flashed of another key", func(t *testing.T, s *cookiesession.Session) {
			if got := s.Flashed("nothing"); got != nil {
				t.Errorf("got %v, want nil", got)
			}
		}, "-[.flash]", ""},
		{"Flashes", func(t *testing.T, s *cookiesession.Session) {
			if got, want := s.Flashes(), (map[string]any{"old": int64(1), "other": int64(2)}); !reflect.DeepEqual(got, want) {
				t.Errorf("Flashes: got %v, want %v", got, want)
			}
		}, "-[.flash]", ""},
		{"Flashes, and a change", func(_ *testing.T, s *cookiesession.Session) { s.Flashes(); s.Put("n", 2) }, "-[.flash] []", ""},
		{"Flashes, and no change", func(_ *testing.T, s *cookiesession.Session) { s.Flashes(); s.Put("n", 1) }, "-[.flash]", ""},

		{"Flash", func(t *testing.T, s *cookiesession.Session) { s.Flash("new", 3) }, "[.flash]", "new=3 old=1 other=2"},
		{"Flash of an old key", func(_ *testing.T, s *cookiesession.Session) { s.Flash("old", 3) }, "[.flash]", "old=3 other=2"},
		{"Flash of an equal message", func(_ *testing.T, s *cookiesession.Session) { s.Flash("old", 1) }, "[.flash]", "old=1 other=2"},
		{"Flash twice", func(_ *testing.T, s *cookiesession.Session) { s.Flash("new", 3); s.Flash("new", 4) }, "[.flash]", "new=4 old=1 other=2"},
		{"Flash of nil", func(_ *testing.T, s *cookiesession.Session) { s.Flash("new", nil) }, "[.flash]", "new=<nil> old=1 other=2"},
		{"Flash, then Flashed", func(t *testing.T, s *cookiesession.Session) {
			s.Flash("new", 3)
			s.Flash("old", 4)
			if n, o := s.Flashed("new"), s.Flashed("old"); n != nil || o != int64(1) {
				t.Errorf("got %v and %v of messages for the next request, want nil and 1", n, o)
			}
		}, "[.flash]", "new=3 old=4"},
		{"Flashed, then Flash", func(t *testing.T, s *cookiesession.Session) {
			s.Flashed("old")
			s.Flash("new", 3)
			if got := s.Flashed("new"); got != nil {
				t.Errorf("got %v of a message for the next request, want nil", got)
			}
		}, "[.flash]", "new=3"},

		{"FlashNow", func(t *testing.T, s *cookiesession.Session) { s.FlashNow("new", 3) }, "", "old=1 other=2"},
		{"FlashNow, then Flashed", func(t *testing.T, s *cookiesession.Session) {
			s.FlashNow("new", 3)
			s.FlashNow("old", 4)
			if n, o, p := s.Flashed("new"), s.Flashed("old"), s.Flashed("other"); n != int64(3) || o != int64(4) || p != int64(2) {
				t.Errorf("got %v, %v, %v; want 3, 4, 2", n, o, p)
			}
			if got, want := s.Flashes(), (map[string]any{"new": int64(3), "old": int64(4), "other": int64(2)}); !reflect.DeepEqual(got, want) {
				t.Errorf("Flashes: got %v, want %v", got, want)
			}
		}, "-[.flash]", ""},
		{"Flashed, then FlashNow", func(t *testing.T, s *cookiesession.Session) {
			s.Flashed("new")
			s.FlashNow("new", 3)
			if got := s.Flashed("new"); got != int64(3) {
				t.Errorf("got %v, want 3", got)
			}
		}, "-[.flash]", ""},

		{"Keep", func(_ *testing.T, s *cookiesession.Session) { s.Keep("old") }, "[.flash]", "old=1"},
		{"Keep of several", func(_ *testing.T, s *cookiesession.Session) { s.Keep("old", "nothing", "other") }, "[.flash]", "old=1 other=2"},
		{"Keep twice", func(_ *testing.T, s *cookiesession.Session) { s.Keep("old"); s.Keep("other") }, "[.flash]", "old=1 other=2"},
		{"Keep of nothing", func(_ *testing.T, s *cookiesession.Session) { s.Keep() }, "-[.flash]", ""},
		{"Keep of another key", func(_ *testing.T, s *cookiesession.Session) { s.Keep("nothing") }, "-[.flash]", ""},
		{"Keep after Flashed", func(_ *testing.T, s *cookiesession.Session) { s.Flashed("old"); s.Keep("old") }, "[.flash]", "old=1"},
		{"Flashed after Keep", func(t *testing.T, s *cookiesession.Session) {
			s.Keep("old")
			if got := s.Flashed("old"); got != int64(1) {
				t.Errorf("got %v, want 1", got)
			}
		}, "[.flash]", "old=1"},
		{"Keep of what was flashed anew", func(_ *testing.T, s *cookiesession.Session) { s.Flash("old", 3); s.Keep("old") }, "[.flash]", "old=3"},
		{"Flash of what was kept", func(_ *testing.T, s *cookiesession.Session) { s.Keep("old"); s.Flash("old", 3) }, "[.flash]", "old=3"},
		{"Keep of FlashNow", func(_ *testing.T, s *cookiesession.Session) { s.FlashNow("new", 3); s.Keep("new") }, "[.flash]", "new=3"},
		{"Keep of FlashNow over an old key", func(_ *testing.T, s *cookiesession.Session) { s.FlashNow("old", 3); s.Keep("old") }, "[.flash]", "old=3"},
		{"Reflash", func(_ *testing.T, s *cookiesession.Session) { s.Reflash() }, "[.flash]", "old=1 other=2"},
		{"Reflash and Flash", func(_ *testing.T, s *cookiesession.Session) { s.Reflash(); s.Flash("old", 3) }, "[.flash]", "old=3 other=2"},
		{"Flash and Reflash", func(_ *testing.T, s *cookiesession.Session) { s.Flash("old", 3); s.Reflash() }, "[.flash]", "old=3 other=2"},
		{"Reflash of FlashNow", func(_ *testing.T, s *cookiesession.Session) { s.FlashNow("old", 3); s.FlashNow("new", 4); s.Reflash() }, "[.flash]", "new=4 old=3 other=2"},
		{"Reflash after Flashes", func(_ *testing.T, s *cookiesession.Session) { s.Flashes(); s.Reflash() }, "[.flash]", "old=1 other=2"},

		{"Flash that can't be", func(t *testing.T, s *cookiesession.Session) {
			s.Flash("new", func() {})
			if s.Err() == nil {
				t.Error("Err is nil")
			}
		}, "", "old=1 other=2"},
		{"Flashes, and a value that can't be", func(_ *testing.T, s *cookiesession.Session) { s.Flashes(); s.Put("n", func() {}) }, "", "old=1 other=2"},
		{"FlashNow that can't be", func(t *testing.T, s *cookiesession.Session) {
			s.FlashNow("new", func() {})
			if s.Err() == nil || s.Flashed("new") != nil {
				t.Errorf("got %v, error %v", s.Flashed("new"), s.Err())
			}
		}, "", "old=1 other=2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newVisitor(t, newManager(t, nil))
			v.visit(func(s *cookiesession.Session) {
				s.Put("n", 1)
				s.Flash("old", 1)
				s.Flash("other", 2)
			})
			lines, _ := v.try(func(s *cookiesession.Session) { test.do(t, s) })
			if got := withoutTags(v.wrote(lines)); got != test.wrote {
				t.Errorf("wrote %s, want %s", got, test.wrote)
			}
			v.wantMessages(test.left)
			v.visit(asked)
			v.wantMessages("")
		})
	}
}

// withoutTags leaves the tags of ended markers out of what wrote returned, and puts them last.
func withoutTags(wrote string) string {
	fields := strings.Fields(wrote)
	for i, field := range fields {
		if strings.HasPrefix(field, "[.ended.") {
			fields[i] = "[ended]"
		}
	}
	slices.Sort(fields)
	return strings.Join(fields, " ")
}

// Messages need no session, and don't make one.
func TestFlashWithoutSession(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	if got := v.wrote(v.visit(flash("f", 1))); got != "[.flash]" {
		t.Errorf("wrote %s, want the message only", got)
	}
	s := v.load()
	if !s.IsNew() || !s.IsEmpty() || s.Changed() || s.Flashed("f") != int64(1) {
		t.Errorf("IsNew %v, IsEmpty %v, Changed %v, message %v", s.IsNew(), s.IsEmpty(), s.Changed(), s.Flashed("f"))
	}
}

// A message waits for the request that asks. laravel #17569: an image, or a script's call, ate it.
func TestFlashWaits(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Flash("f", "saved") })
	for range 3 {
		if h := inHandler(v.m, requestWith(v.header()), func(http.ResponseWriter, *http.Request) {}); len(h) > 0 {
			t.Errorf("a request that doesn't use the session got %v", h)
		}
		if lines := v.visit(touched); len(lines) > 0 {
			t.Errorf("a request that only reads the session wrote %s", v.wrote(lines))
		}
	}
	before := v.cookie("")
	if got := v.wrote(v.visit(asked)); got != "-[.flash]" {
		t.Errorf("reading wrote %s, want one deletion", got)
	}
	if v.cookie("") != before {
		t.Error("reading a message wrote the session")
	}
	if lines := v.visit(asked); len(lines) > 0 {
		t.Errorf("reading nothing wrote %s", v.wrote(lines))
	}
}

// Messages outlive the session: its end in every way, and the login that follows.
func TestFlashOutlivesSession(t *testing.T) {
	for name, end := range map[string]func(v *visitor){
		"Destroy":   func(v *visitor) { v.visit(destroy) },
		"login":     func(v *visitor) { v.visit(login) },
		"expiry":    func(*visitor) { time.Sleep(24 * time.Hour) },
		"idle":      func(*visitor) { time.Sleep(2 * time.Hour) },
		"new key":   func(v *visitor) { v.setCookie("", "1AAAA") },
		"new start": func(v *visitor) { v.visit(func(s *cookiesession.Session) { s.Destroy(); s.Put("n", 2) }) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.IdleTimeout, c.FlashLifetime = time.Hour, 48*time.Hour }))
				v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Flash("f", 1) })
				end(v)
				v.wantMessages("f=1")
			})
		})
	}
}

// FlashLifetime counts from the last Flash, and the server enforces it. fiber's flash cookie is neither sealed nor
// dated.
func TestFlashLifetime(t *testing.T) {
	for _, test := range []struct {
		config, lifetime time.Duration
		maxAge           string
	}{
		{0, 10 * time.Minute, "; Max-Age=600;"},
		{time.Second, time.Second, "; Max-Age=1;"},
		{90 * time.Second, 90 * time.Second, "; Max-Age=90;"},
		{1500 * time.Millisecond, 2 * time.Second, "; Max-Age=2;"},
		{400 * 24 * time.Hour, 400 * 24 * time.Hour, "; Max-Age=34560000;"},
	} {
		t.Run(test.config.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, func(c *cookiesession.Config) { c.FlashLifetime = test.config }))
				lines := v.visit(flash("f", 1))
				if !strings.Contains(lines[0], test.maxAge) {
					t.Errorf("got %q, want %q in it", lines[0][strings.Index(lines[0], ";"):], test.maxAge)
				}
				replayed := v.header() // a browser that ignores attributes
				for _, at := range []struct {
					after time.Duration
					want  any
				}{{test.lifetime - time.Second, int64(1)}, {time.Second, nil}, {time.Second, nil}} {
					time.Sleep(at.after)
					s := load(v.m, replayed)
					if got := s.Flashed("f"); got != at.want {
						t.Errorf("got %v, want %v", got, at.want)
					}
					h := http.Header{}
					if err := v.m.Save(h, s); err != nil || at.want == nil && len(h["Set-Cookie"]) > 0 {
						t.Errorf("wrote %q, error %v: what was refused is left alone", h["Set-Cookie"], err)
					}
				}
				v.wantMessages("")
			})
		})
	}
}

func TestFlashRenewsLifetime(t *testing.T) {
	for name, renew := range map[string]func(s *cookiesession.Session){
		"Flash":   flash("g", 2),
		"Keep":    func(s *cookiesession.Session) { s.Keep("f") },
		"Reflash": func(s *cookiesession.Session) { s.Reflash() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisitor(t, newManager(t, nil))
				v.visit(flash("f", 1))
				for range 5 {
					time.Sleep(10*time.Minute - time.Second)
					v.visit(renew)
					if v.load().Flashed("f") != int64(1) {
						t.Fatal("the message is gone")
					}
				}
				time.Sleep(10 * time.Minute)
				v.visit(flash("h", 3))
				v.wantMessages("h=3") // what has expired isn't carried on
			})
		})
	}
}

func TestFlashField(t *testing.T) {
	type notice struct {
		Kind string
		At   time.Time
	}
	const field = cookiesession.Field[notice]("notice")
	want := notice{"info", time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	v := newVisitor(t, newManager(t, nil))
	v.visit(func(s *cookiesession.Session) {
		if got := field.Flashed(s); got != (notice{}) {
			t.Errorf("got %v before anything was flashed", got)
		}
		field.Flash(s, want)
	})
	again := v.clone(v.m)
	v.visit(func(s *cookiesession.Session) {
		if got := field.Flashed(s); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	v.wantMessages("")
	again.visit(func(s *cookiesession.Session) {
		if got := cookiesession.Field[int]("notice").Flashed(s); got != 0 {
			t.Errorf("got %v of another type, want 0", got)
		}
	})
	again.wantMessages("")
	v.visit(func(s *cookiesession.Session) {
		field.FlashNow(s, want)
		if got := field.Flashed(s); got != want {
			t.Errorf("FlashNow: got %v, want %v", got, want)
		}
	})
	v.wantMessages("")
}

// A message of several cookies is consumed with all of them, and replaced with the rest deleted.
func TestFlashOfSeveralCookies(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Flash("f", random(4000)) })
	if got := v.names(); !slices.Equal(got, []string{"", ".flash", ".flash.1"}) {
		t.Fatalf("got cookies %q", got)
	}
	short := v.clone(v.m)
	if got := v.wrote(v.visit(asked)); got != "-[.flash.1] -[.flash]" {
		t.Errorf("reading wrote %s", got)
	}
	if got := short.wrote(short.visit(func(s *cookiesession.Session) { s.Flashes(); s.Flash("g", 1) })); got != "-[.flash.1] [.flash]" {
		t.Errorf("replacing wrote %s", got)
	}
	short.wantMessages("g=1")
}

// What comes broken, or as several, holds no message; the session doesn't mind.
func TestStrangeFlash(t *testing.T) {
	for _, test := range []struct {
		name   string
		spoil  func(v *visitor) string // returns the Cookie header
		reason string
		want   string
	}{
		{"good", func(v *visitor) string { return v.header() }, "", "f=1"},
		{"twice", func(v *visitor) string { return v.header() + "; " + flashName + "=" + v.cookie(".flash") }, "", "f=1"},
		{"beside garbage", func(v *visitor) string { return flashName + "=1AAAA; " + v.header() }, "", "f=1"},
		{"two of them", func(v *visitor) string {
			old := v.cookie(".flash")
			v.visit(flash("g", 2))
			return v.header() + "; " + flashName + "=" + old
		}, "ambiguous", ""},
		{"too many", func(v *visitor) string {
			return flashName + "=a; " + flashName + "=b; " + flashName + "=c; " + flashName + "=d; " + v.header()
		}, "ambiguous", ""},
		{"empty", func(v *visitor) string { v.setCookie(".flash", ""); return v.header() }, "malformed", ""},
		{"forged", func(v *visitor) string {
			f := v.cookie(".flash")
			v.setCookie(".flash", f[:len(f)-4]+"AAAA")
			return v.header()
		}, "forged", ""},
		{"torn", func(v *visitor) string { v.setCookie(".flash", "2"+v.cookie(".flash")[1:61]); return v.header() }, "torn", ""},
		{"a session: next-auth CVE-2023-48309", func(v *visitor) string { v.setCookie(".flash", v.cookie("")); return v.header() }, "unknown-key", ""},
		{"of another scope", func(v *visitor) string {
			other := newVisitor(v.t, newManager(v.t, func(c *cookiesession.Config) { c.Scope = "staging" }))
			other.visit(flash("f", 2))
			v.setCookie(".flash", other.cookie(".flash"))
			return v.header()
		}, "unknown-key", ""},
		{"payload of another shape", func(v *visitor) string {
			return cookieName + "=" + v.cookie("") + "; " + v.m.SealPayload("flash", []byte("\x91\x01"))
		}, "malformed", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var refused []string
			v := newVisitor(t, newManager(t, func(c *cookiesession.Config) {
				c.OnReject = func(_ *http.Request, err *cookiesession.RejectError) {
					refused = append(refused, strings.TrimPrefix(err.Cookie, cookieName)+" "+err.Reason.String())
				}
			}))
			v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Flash("f", 1) })
			header := test.spoil(v)
			s := load(v.m, header)
			if s.Get("n") != int64(1) || len(refused) > 0 {
				t.Errorf("before the messages were asked for: n = %v, refused %q", s.Get("n"), refused)
			}
			var got []string
			for key, value := range s.Flashes() {
				got = append(got, fmt.Sprintf("%s=%v", key, value))
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			var want []string
			if test.reason != "" {
				want = []string{".flash " + test.reason}
			}
			if !slices.Equal(refused, want) {
				t.Errorf("refused %q, want %q", refused, want)
			}
			if s.Rejected() != nil {
				t.Errorf("Rejected is %v, want nil: that is the session's", s.Rejected())
			}
			h := http.Header{}
			if err := v.m.Save(h, s); err != nil || test.want == "" && len(h["Set-Cookie"]) > 0 {
				t.Errorf("wrote %s, error %v", v.wrote(h["Set-Cookie"]), err)
			}
		})
	}
}

// After the commit a message can still be read, but neither consumed nor left.
func TestFlashAfterCommit(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(flash("f", 1))
	for name, do := range map[string]func(s *cookiesession.Session) bool{
		"Flashed": func(s *cookiesession.Session) bool { return s.Flashed("f") == int64(1) },
		"Flashes": func(s *cookiesession.Session) bool { return len(s.Flashes()) == 1 },
		"Flash":   func(s *cookiesession.Session) bool { s.Flash("g", 1); return true },
		"Keep":    func(s *cookiesession.Session) bool { s.Keep("f"); return true },
		"Reflash": func(s *cookiesession.Session) bool { s.Reflash(); return true },
		"FlashNow": func(s *cookiesession.Session) bool {
			s.FlashNow("g", 1)
			return s.Err() == nil && s.Flashed("g") == int64(1)
		},
		"keeping nothing": func(s *cookiesession.Session) bool { s.Keep("nothing"); return true },
	} {
		h := inHandler(v.m, requestWith(v.header()), func(w http.ResponseWriter, r *http.Request) {
			s := v.m.Get(r)
			s.IsEmpty()
			w.WriteHeader(http.StatusOK)
			if !do(s) {
				t.Errorf("%s: didn't get the message", name)
			}
			if !errors.Is(s.Err(), cookiesession.ErrCommitted) {
				t.Errorf("%s: Err is %v, want ErrCommitted", name, s.Err())
			}
		})
		if len(h["Set-Cookie"]) > 0 {
			t.Errorf("%s: wrote %s", name, v.wrote(h["Set-Cookie"]))
		}
	}
}

// What has been shown before the commit may be read after it, and what isn't there: neither is a change.
func TestFlashReadAfterCommit(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(flash("f", 1))
	for name, header := range map[string]string{"shown before": v.header(), "none received": "", "refused": v.m.CookieName() + ".flash=1forged"} {
		inHandler(v.m, requestWith(header), func(w http.ResponseWriter, r *http.Request) {
			s := v.m.Get(r)
			if name == "shown before" {
				s.Flashed("f")
			}
			w.WriteHeader(http.StatusOK)
			s.Flashed("f")
			s.Flashes()
			s.Keep("nothing")
			if s.Err() != nil {
				t.Errorf("%s: got Err %v from reading", name, s.Err())
			}
			s.FlashNow("f", 1)
			s.Keep("f")
			if !errors.Is(s.Err(), cookiesession.ErrCommitted) {
				t.Errorf("%s: got Err %v from Keep, want ErrCommitted", name, s.Err())
			}
		})
	}
}

// Two responses that both leave or consume messages: the one that arrives last wins, as for the session. What is read
// while a Flash is under way can be shown once more, or a message be lost to a request that reads.
func TestFlashLastOneWins(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(flash("f", 1))
	slow, reader := v.load(), v.load()
	slow.Flash("g", 2)
	reader.Flashes()
	late := v.clone(v.m)
	v.answer(reader)
	v.answer(slow)
	v.wantMessages("f=1 g=2")
	late.answer(slow)
	late.answer(reader)
	late.wantMessages("")
}

// The goroutines of one request may all use its messages.
func TestFlashConcurrently(t *testing.T) {
	v := newVisitor(t, newManager(t, nil))
	v.visit(flash("f", 1))
	s := v.load()
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			s.Flash(fmt.Sprint("g", i), i)
			s.FlashNow("now", i)
			s.Keep("f")
			if s.Flashed("f") != int64(1) {
				t.Error("a goroutine missed the message")
			}
			s.Size()
			s.Put("n", i)
		})
	}
	running.Wait()
	if _, err := v.answer(s); err != nil {
		t.Fatal(err)
	}
	v.wantMessages("f=1 g0=0 g1=1 g2=2 g3=3 g4=4 g5=5 g6=6 g7=7")
}

// A page that the browser fetches for later may never be seen: reading messages there doesn't consume them. Whoever keeps
// them keeps them as they are.
func TestPrefetchConsumesNothing(t *testing.T) {
	for _, header := range []struct {
		name, value string
		prefetch    bool
	}{
		{"Sec-Purpose", "prefetch", true},
		{"Sec-Purpose", "prefetch;prerender", true},
		{"Sec-Purpose", "prefetch; anonymous-client-ip", true},
		{"Sec-Purpose", " prefetch ;prerender", true},
		{"sec-purpose", "Prefetch", true},
		{"Purpose", "prefetch", true},
		{"Purpose", "Prefetch;x", true},
		{"X-Moz", "prefetch", true},
		{"Sec-Purpose", "", false},
		{"Sec-Purpose", "prefetches", false},
		{"Sec-Purpose", "pre;prefetch", false},
		{"X-Purpose", "prefetch", false},
		{"Sec-Fetch-Mode", "prefetch", false},
	} {
		for _, test := range []struct {
			name  string
			do    func(*cookiesession.Session)
			wrote string
			left  string
		}{
			{"nothing", touched, "", "old=1 other=2"},
			{"Flashed", func(s *cookiesession.Session) { s.Flashed("old") }, "", "old=1 other=2"},
			{"Flashed of another key", func(s *cookiesession.Session) { s.Flashed("nothing") }, "", "old=1 other=2"},
			{"Flashes", asked, "", "old=1 other=2"},
			{"Field", func(s *cookiesession.Session) { cookiesession.Field[int]("old").Flashed(s) }, "", "old=1 other=2"},
			{"Keep of one", func(s *cookiesession.Session) { s.Keep("old") }, "", "old=1 other=2"},
			{"Keep of none", func(s *cookiesession.Session) { s.Keep() }, "", "old=1 other=2"},
			{"Reflash", func(s *cookiesession.Session) { s.Reflash() }, "", "old=1 other=2"},
			{"Flashes and Reflash", func(s *cookiesession.Session) { s.Flashes(); s.Reflash() }, "", "old=1 other=2"},
			{"a message", flash("new", 3), "[.flash]", "new=3 old=1 other=2"},
			{"Flashes and a message", func(s *cookiesession.Session) { s.Flashes(); s.Flash("new", 3) }, "[.flash]", "new=3 old=1 other=2"},
			{"Keep, and a newer message", func(s *cookiesession.Session) { s.Keep("old"); s.Flash("old", 3) }, "[.flash]", "old=3 other=2"},
			{"FlashNow and Flashes", func(s *cookiesession.Session) { s.FlashNow("now", 3); s.Flashes() }, "", "old=1 other=2"},
			{"FlashNow kept", func(s *cookiesession.Session) { s.FlashNow("now", 3); s.Keep("now") }, "[.flash]", "now=3 old=1 other=2"},
			{"FlashNow over an old key, kept", func(s *cookiesession.Session) { s.FlashNow("old", 3); s.Keep("old") }, "[.flash]", "old=3 other=2"},
			{"FlashNow, all kept", func(s *cookiesession.Session) { s.FlashNow("now", 3); s.Reflash() }, "[.flash]", "now=3 old=1 other=2"},
			{"Flashes and a change", func(s *cookiesession.Session) { s.Flashes(); s.Put("n", 2) }, "[]", "old=1 other=2"},
			{"Flashes and logout", func(s *cookiesession.Session) { s.Flashes(); s.Destroy() }, "-[] [ended]", "old=1 other=2"},
		} {
			for _, form := range forms {
				v := newVisitor(t, newManager(t, nil))
				v.visit(func(s *cookiesession.Session) { s.Put("n", 1); s.Flash("old", 1); s.Flash("other", 2) })
				r := requestWith(v.header())
				r.Header.Set(header.name, header.value)
				h, err := form.answer(v.m, r, test.do)
				if err != nil {
					t.Fatal(err)
				}
				wrote := withoutTags(v.wrote(h["Set-Cookie"]))
				v.jar.SetHeader(site, h)
				left := v.messages()
				what := fmt.Sprintf("%s: %s, %s, %s", header.name, header.value, test.name, form.name)
				if header.prefetch && (wrote != test.wrote || left != test.left) {
					t.Errorf("%s: wrote %q and left %q, want %q and %q", what, wrote, left, test.wrote, test.left)
				}
				if !header.prefetch && test.name == "Flashes" && left != "" {
					t.Errorf("%s: left %q, want nothing", what, left)
				}
				v.visit(asked) // the page is shown
				v.wantMessages("")
			}
		}
	}
}

// What was shown in a prefetch is shown again by the page that is seen, and by no other.
func TestPrefetchedPageIsShown(t *testing.T) {
	onEachProtocol(t, func(t *testing.T, proto string) {
		m := newWeb(t, nil)
		first := true
		v := m.serve(t, proto, m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if first {
				first = false
				m.Get(r).Flash("f", "saved")
				return
			}
			fmt.Fprint(w, m.Get(r).Flashed("f"))
		})))
		v.get()
		for i, want := range []string{"saved", "saved", "saved", "<nil>"} {
			r := v.request(http.MethodGet, "")
			if i < 2 {
				r.Header.Set("Sec-Purpose", "prefetch;prerender")
			}
			if a := v.do(r); a.body != want {
				t.Errorf("request %d showed %q, want %q", i, a.body, want)
			}
		}
	})
}

// A message that a prefetched page shows is its visitor's alone, as one that is consumed. A page that shows none is for
// whom its handler says.
func TestPrefetchedMessageIsNotForOthers(t *testing.T) {
	for _, purpose := range []string{"prefetch", ""} {
		for name, test := range map[string]struct {
			received, page func(*cookiesession.Session)
			want           string
		}{
			"shows a message":     {both(1, 1), asked, "max-age=60, private"},
			"keeps a message":     {both(1, 1), func(s *cookiesession.Session) { s.Reflash() }, "max-age=60, private"},
			"doesn't ask":         {both(1, 1), touched, "public, max-age=60"},
			"there is no message": {put("n", 1), asked, "public, max-age=60"},
		} {
			for _, form := range publicForms {
				v := newVisitor(t, newManager(t, nil))
				v.visit(test.received)
				r := requestWith(v.header())
				r.Header.Set("Sec-Purpose", purpose)
				h, err := form.answer(v.m, r, test.page)
				if got := h.Get("Cache-Control"); err != nil || got != test.want {
					t.Errorf("purpose %q, %s, %s: got Cache-Control %q, %v; want %q", purpose, name, form.name, got, err, test.want)
				}
			}
		}
	}
}

// An expired message of another Path or Domain is no rival of a good one, in either order.
func TestExpiredFlashIsNoRival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newManager(t, nil))
		v.visit(flash("f", "old"))
		old := v.header()
		time.Sleep(11 * time.Minute)
		v.visit(flash("f", "new"))
		for _, header := range []string{old + "; " + v.header(), v.header() + "; " + old} {
			if got := load(v.m, header).Flashed("f"); got != "new" {
				t.Errorf("got %v, want new", got)
			}
		}
	})
}

// deadFlash returns flash cookies that don't open, which take about size bytes, and whatever is good of them after good.
func deadFlash(t *testing.T, size int, kind string) string {
	t.Helper()
	m := newManager(t, func(c *cookiesession.Config) {
		c.MaxSize = 20000
		if kind == "of another key" {
			c.Keys = newRing(t, cookiesession.GenerateKey("old"))
		}
	})
	lines, err := response(m, flash("f", random(size*3/4-200)))
	if err != nil {
		t.Fatal(err)
	}
	pairs := pairsOf(cookieHeader(lines))
	switch kind {
	case "torn":
		pairs = pairs[:len(pairs)-1]
		pairs = append(pairs, pair{flashName + ".5", random(3000)})
	case "parts alone":
		pairs = pairs[1:]
		pairs = append(pairs, pair{flashName + ".5", random(3000)})
	case "forged":
		pairs[0].value = pairs[0].value[:60] + "AAAA" + pairs[0].value[64:]
	case "malformed":
		pairs[0].value = "x" + pairs[0].value
	case "too many":
		for i := range 5 {
			pairs = append(pairs, pair{flashName, fmt.Sprint("1AAA", i)})
		}
	}
	return join(pairs...)
}

// Flash cookies that don't open take space from nothing: a login works beside 6 kB of them, and deletes them.
func TestDeadFlashTakesNoRoom(t *testing.T) {
	for _, kind := range []string{"of another key", "torn", "parts alone", "forged", "malformed", "too many"} {
		dead := deadFlash(t, 6144, kind)
		for name, test := range map[string]struct {
			do      func(*cookiesession.Session)
			deletes bool
		}{
			"login":           {login, true},
			"a CSRF token":    {func(s *cookiesession.Session) { s.CSRFToken() }, true},
			"a large change":  {put("v", random(3000)), true},
			"logout":          {destroy, true},
			"read":            {touched, false},
			"the Size":        {func(s *cookiesession.Session) { s.Put("n", 1); s.Size() }, true},
			"messages read":   {func(s *cookiesession.Session) { s.Flashes(); login(s) }, true},
			"another message": {func(s *cookiesession.Session) { login(s); s.Flash("f", random(1000)) }, true},
			"message alone":   {flash("f", random(1000)), true},
		} {
			for _, form := range forms {
				for _, have := range []bool{false, true} {
					v := newVisitor(t, newManager(t, nil))
					if have {
						v.visit(put("n", 0))
					}
					for _, p := range pairsOf(dead) {
						v.setCookie(strings.TrimPrefix(p.name, cookieName), p.value)
					}
					header := v.header()
					if kind == "too many" {
						header += "; " + dead
					}
					h, err := form.answer(v.m, requestWith(header), test.do)
					if err != nil {
						t.Errorf("%s, %s, %s: %v", kind, name, form.name, err)
						continue
					}
					v.jar.SetHeader(site, h)
					left := slices.DeleteFunc(v.names(), func(name string) bool { return !strings.HasPrefix(name, ".flash") })
					if strings.Contains(name, "message") && name != "messages read" {
						if got := v.load().Flashed("f"); got != random(1000) || len(left) != 1 {
							t.Errorf("%s, %s, %s: got another message, cookies %q", kind, name, form.name, left)
						}
						continue
					}
					if deleted := len(left) == 0; deleted != test.deletes {
						t.Errorf("%s, %s, %s: left %q, want it deleted %v", kind, name, form.name, left, test.deletes)
					}
				}
			}
		}
	}
}

// Beside a message that is good, too, what doesn't open takes no space.
func TestDeadFlashBesideGoodTakesNoRoom(t *testing.T) {
	for _, kind := range []string{"of another key", "forged", "malformed"} {
		dead := deadFlash(t, 6144, kind)
		for _, order := range []string{"before", "behind"} {
			for _, form := range forms {
				v := newVisitor(t, newManager(t, nil))
				v.visit(both(1, "message"))
				header := dead + "; " + v.header()
				if order == "behind" {
					header = v.header() + "; " + dead
				}
				h, err := form.answer(v.m, requestWith(header), login)
				if got := cookieNames(h); err != nil || got != cookieName {
					t.Errorf("%s, %s, %s: wrote %q, %v; want the login", kind, order, form.name, got, err)
				}
				if got := load(v.m, header).Flashed("f"); got != "message" {
					t.Errorf("%s, %s: got message %v", kind, order, got)
				}
				// The good one does count.
				if _, err := form.answer(v.m, requestWith(header), put("w", random(5000))); err == nil {
					t.Errorf("%s, %s, %s: more than MaxSize was saved", kind, order, form.name)
				}
			}
		}
	}
}

// A flash cookie that nobody can read goes with the next response that writes, in Handler as by Save.
func TestDeadFlashIsDeletedByHandler(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(*cookiesession.Session)
		want string
	}{
		"read":    {touched, ""},
		"written": {put("n", 1), "-__Host-session.flash __Host-session"},
		"Destroy": {destroy, "-__Host-session.flash"},
	} {
		m := newManager(t, nil)
		h := inHandler(m, requestWith("__Host-session.flash=1AAAA"), func(_ http.ResponseWriter, r *http.Request) { test.do(m.Get(r)) })
		if got := sortedNames(cookieNames(h)); got != test.want {
			t.Errorf("%s: wrote %q, want %q", name, got, test.want)
		}
		if got := len(m.Stats().Rejected); (got > 0) != (test.want != "") {
			t.Errorf("%s: %d refusals are counted, want one if the messages were opened", name, got)
		}
	}
}

// A dead flash cookie that is read is no reason to write, even where a lease may be.
func TestDeadFlashIsReadUnderIdleTimeout(t *testing.T) {
	m := newManager(t, withIdle(time.Hour))
	v := newVisitor(t, m)
	v.visit(put("n", 1))
	for _, form := range forms {
		h, err := form.answer(m, requestWith(v.header(), "__Host-session.flash=1AAAA"), asked)
		if got := cookieNames(h); err != nil || got != "" {
			t.Errorf("%s: wrote %q, error %v, want nothing", form.name, got, err)
		}
	}
}

func TestFlashPayloadWithoutHead(t *testing.T) {
	var refused []string
	m := newManager(t, func(c *cookiesession.Config) { c.OnReject = noteRefusals(&refused) })
	for name, payload := range map[string][]byte{
		"values alone":           packMap(),
		"a list for the values":  pack(packArray(2), packTimes(1<<31), packArray(0)),
		"a list of three":        pack(packArray(3), packTimes(1<<31), packMap()),
		"values instead of time": pack(packArray(2), packMap("a", "b")),
	} {
		refused = nil
		load(m, m.SealPayload("flash", payload)).Flashes()
		if want := []string{"__Host-session.flash malformed"}; !slices.Equal(refused, want) {
			t.Errorf("%s: got %q, want %q", name, refused, want)
		}
	}
}

// A message for this request only is carried on, though none was received.
func TestKeepOfFlashNowAlone(t *testing.T) {
	for name, keep := range map[string]func(*cookiesession.Session){
		"Keep":    func(s *cookiesession.Session) { s.Keep("note") },
		"Reflash": func(s *cookiesession.Session) { s.Reflash() },
	} {
		v := newVisitor(t, newManager(t, nil))
		v.visit(func(s *cookiesession.Session) { s.FlashNow("note", "hello"); keep(s) })
		if got := v.load().Flashed("note"); got != "hello" {
			t.Errorf("%s: got %v, want hello", name, got)
		}
	}
}
