package cookiesession_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-50e21e88/cookiesession"
)

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
		h := inManagersHandler(v.m, requestWith(v.header()), func(w http.ResponseWriter, r *http.Request) {
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
	for name, header := range map[string]string{"shown before": v.header(), "none came": "", "refused": v.m.CookieName() + ".flash=1forged"} {
		inManagersHandler(v.m, requestWith(header), func(w http.ResponseWriter, r *http.Request) {
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
