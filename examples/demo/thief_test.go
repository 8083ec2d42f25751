package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/seed-50e21e88/cookiesession"
)

// copies returns what the card says of each stolen copy, what is told beside a verdict included.
func (v *visitor) copies() (list []string) {
	v.t.Helper()
	card, _ := v.look()
	for _, line := range card.all(func(e *element) bool { return e.name == "li" }) {
		list = append(list, line.text())
	}
	return list
}

func (v *visitor) wantCopies(want ...string) {
	v.t.Helper()
	if got := v.copies(); !slices.Equal(got, want) {
		v.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// stealBound logs in at midnight, registers a key and has the cookies stolen.
func stealBound(t *testing.T, site http.Handler) (*visitor, *bound) {
	t.Helper()
	v := newVisitor(t, site)
	v.open("/")
	v.submit("/login", "name", "Ada")
	b := v.register()
	v.open("/")
	v.submit("/steal")
	if got := v.page.byID("device").byClass("notice").text(); got != "The thief has a copy of your cookies, and tries it." {
		t.Fatalf("notice: got %q", got)
	}
	return v, b
}

func TestStolenFromBoundDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, b := stealBound(t, newSite(t, nil))
		if _, again := v.look(); again != "5" {
			t.Errorf("while a copy is accepted the script looks again after %s s, want 5", again)
		}
		v.wantCopies("The whole jar still accepted refused in 11 min 1 try as Ada, 00:00:00 UTC",
			"Without .proof refused: unproven 1 try, 00:00:00 UTC",
			"Without .device refused: unproven 1 try, 00:00:00 UTC")
		time.Sleep(tryEvery - time.Second)
		v.look() // too soon for another try
		time.Sleep(time.Second)
		v.wantCopies("The whole jar still accepted refused in 10 min 56 s 2 tries as Ada, 00:00:00 to 00:00:04 UTC",
			"Without .proof refused: unproven 2 tries, 00:00:00 to 00:00:04 UTC",
			"Without .device refused: unproven 2 tries, 00:00:00 to 00:00:04 UTC")

		time.Sleep(9*time.Minute - 4*time.Second)
		v.prove(b) // the owner goes on
		time.Sleep(2*time.Minute - time.Second)
		if got, want := v.copies()[0], "The whole jar still accepted refused in 1 s 3 tries as Ada, 00:00:00 to 00:10:59 UTC"; got != want {
			t.Errorf("a second before the proof in the copy expires: got %q, want %q", got, want)
		}
		time.Sleep(time.Second)
		v.look() // too soon for another try
		time.Sleep(3 * time.Second)
		if got, want := v.copies()[0], "The whole jar refused: unproven 1 try, 00:11:03 UTC Before: accepted, 3 tries as Ada, 00:00:00 to 00:10:59 UTC"; got != want {
			t.Errorf("after it has: got %q, want %q", got, want)
		}
		v.wantCard(saysBound, "30")
		if got := v.session()["user"]; got != "Ada" {
			t.Errorf("the owner is %q, want Ada", got)
		}
	})
}

// The proof in the copy holds until the second in which it expires.
func TestStolenCopyIsRefusedInTime(t *testing.T) {
	for _, test := range []struct {
		after time.Duration
		want  string
	}{
		{deviceProof + time.Minute - time.Second, "The whole jar still accepted refused in 1 s"},
		{deviceProof + time.Minute, "The whole jar refused: unproven"},
		{deviceProof + time.Minute + time.Second, "The whole jar refused: unproven"},
	} {
		t.Run(test.after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, _ := stealBound(t, newSite(t, nil))
				time.Sleep(test.after)
				if got := v.copies()[0]; !strings.HasPrefix(got, test.want) {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestStolenFromUnboundDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, site := newDemo(t, nil)
		v := newVisitor(t, site)
		v.open("/")
		v.submit("/steal")
		v.wantCopies("The whole jar still accepted for 1 d more 1 try, 00:00:00 UTC")

		v.submit("/login", "name", "Ada")
		v.submit("/steal") // in the place of the first
		if got := len(a.thief.notebook); got != 1 {
			t.Errorf("robbed twice: got %d entries, want 1", got)
		}
		v.wantCopies("The whole jar still accepted for 1 d more 1 try as Ada, 00:00:00 UTC",
			"Without .device refused: unproven 1 try, 00:00:00 UTC")
		if card, _ := v.look(); !strings.Contains(card.byID("device-loot").text(), "Nothing binds the copy") {
			t.Errorf("got %q", card.byID("device-loot").text())
		}
		v.submit("/logout")
		time.Sleep(15 * time.Minute)
		v.wantCopies("The whole jar still accepted for 23 h 45 min more 2 tries as Ada, 00:00:00 to 00:15:00 UTC",
			"Without .device refused: unproven 2 tries, 00:00:00 to 00:15:00 UTC")
	})
}

// Whoever uses a copy keeps it from idling, as the page says.
func TestStolenCopyIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisitor(t, newSite(t, func(o *options) { o.idle = time.Minute }))
		v.open("/")
		v.submit("/login", "name", "Ada")
		v.submit("/steal")
		for range 30 {
			time.Sleep(5 * time.Second)
			v.look()
		}
		if got, want := v.copies()[0], "The whole jar still accepted for 23 h 57 min more 31 tries as Ada, 00:00:00 to 00:02:30 UTC"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := v.session()["refused"]; got != "idle" {
			t.Errorf("the owner, who looked on: refused %q, want idle", got)
		}
	})
}

func TestNotebookIsItsVisitors(t *testing.T) {
	site := newSite(t, nil)
	v := newVisitor(t, site)
	v.open("/")
	v.submit("/steal")
	other := newVisitor(t, site)
	other.open("/")
	if got := other.copies(); got != nil {
		t.Errorf("another visitor sees %q", got)
	}
	const forged = "__Host-thief=AAAAAAAAAAAAAAAAAAAAAAAAAA; Path=/; Secure"
	other.jar.SetHeader(at("/"), http.Header{"Set-Cookie": {forged}})
	card, again := other.look()
	if got, want := card.byID("device-loot").text(), "This server’s thief has nothing of yours now: it has restarted or robbed many others since, or another server has robbed you."; got != want || again != "5" {
		t.Errorf("who guesses sees %q, and again after %s s; want %q, 5 s", got, again, want)
	}
	for _, c := range v.jar.All() {
		if c.Name == "__Host-thief" && (len(c.Value) < 26 || !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode) {
			t.Errorf("the notebook's cookie: got %d characters, HttpOnly %t, Secure %t, SameSite %d", len(c.Value), c.HttpOnly, c.Secure, c.SameSite)
		}
	}
}

// However many tabs look on, he tries once.
func TestLookingOnTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, _ := stealBound(t, newSite(t, nil))
		time.Sleep(tryEvery)
		var tabs sync.WaitGroup
		for range 8 {
			r := v.request(http.MethodGet, "/device", nil)
			tabs.Go(func() { v.site.ServeHTTP(httptest.NewRecorder(), r) })
		}
		tabs.Wait()
		if got, want := v.copies()[1], "Without .proof refused: unproven 2 tries, 00:00:00 to 00:00:04 UTC"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestNotebookIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, site := newDemo(t, nil)
		var visitors []*visitor
		for range maxLoot + 1 {
			v := newVisitor(t, site)
			visitors = append(visitors, v)
			v.open("/")
			v.submit("/steal")
			time.Sleep(time.Second)
		}
		for i, v := range visitors {
			if got, want := v.copies() != nil, i > 0; got != want {
				t.Errorf("visitor %d of %d is in the notebook: %t, want %t", i+1, len(visitors), got, want)
			}
		}
		newest := visitors[maxLoot]
		newest.submit("/steal")
		if got := a.thief.entries(); got != maxLoot {
			t.Errorf("who is robbed again takes the place of the first: got %d entries, want %d", got, maxLoot)
		}
		time.Sleep(keepLoot - time.Second)
		if got := newest.copies(); got == nil {
			t.Errorf("burned before %v", keepLoot)
		}
		time.Sleep(time.Second + time.Nanosecond) // and nobody looks any more
		if got := a.thief.entries(); got != 0 {
			t.Errorf("after %v: got %d entries, want 0", keepLoot, got)
		}
	})
}

func (t *thief) entries() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.notebook)
}

// The notebook keeps cookies, and not the header that they came in, which may be a megabyte.
func TestNotebookHoldsNoHeaders(t *testing.T) {
	a, site := newDemo(t, nil)
	v := newVisitor(t, site)
	v.open("/")
	token := v.page.find(func(e *element) bool { return e.attr["name"] == cookiesession.CSRFField }).attr["value"]
	collected := make(chan struct{})
	func() {
		r := v.request(http.MethodPost, "/steal", url.Values{cookiesession.CSRFField: {token}})
		header := strings.Clone(r.Header.Get("Cookie") + "; junk=" + strings.Repeat("x", 1<<20))
		runtime.AddCleanup(unsafe.StringData(header), func(c chan struct{}) { close(c) }, collected)
		r.Header.Set("Cookie", header)
		v.do(r)
	}()
	if got := a.thief.entries(); got != 1 {
		t.Fatalf("got %d entries, want 1", got)
	}
	for range 50 {
		runtime.GC()
		select {
		case <-collected:
			runtime.KeepAlive(a)
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Error("the header is still in memory")
	runtime.KeepAlive(a)
}

// What the page says of a copy that is refused, though the proof in it hasn't run out.
func TestStolenAndRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, isBound := range []bool{true, false} {
			site := newSite(t, nil)
			v := newVisitor(t, site)
			if isBound {
				v, _ = stealBound(t, site)
			} else {
				v.open("/")
				v.submit("/steal")
			}
			v.submit("/end-all")
			time.Sleep(5 * time.Second)
			card, _ := v.look()
			got := card.byID("device-loot").text()
			if !strings.Contains(got, "refused: revoked") || !strings.Contains(got, "All that he has is useless. The copies") {
				t.Errorf("bound %t: got %q", isBound, got)
			}
		}
	})
}

// What the thief takes is this demo's, as little as the largest session takes, and only with the visitor's own form.
func TestWhatIsStolen(t *testing.T) {
	a, site := newDemo(t, nil)
	v := newVisitor(t, site)
	v.open("/")
	token := v.page.find(func(e *element) bool { return e.attr["name"] == cookiesession.CSRFField }).attr["value"]
	steal := func(token, more string) *http.Response {
		r := v.request(http.MethodPost, "/steal", url.Values{cookiesession.CSRFField: {token}})
		r.Header.Set("Cookie", r.Header.Get("Cookie")+more)
		return v.do(r)
	}
	if resp := steal("", ""); resp.StatusCode != http.StatusForbidden || len(a.thief.notebook) != 0 {
		t.Errorf("without a token: status %d, %d entries", resp.StatusCode, len(a.thief.notebook))
	}
	steal(token, "; other=1; __Host-other=1; __Host-sessions=1; __Host-session.device.x=1")
	for _, l := range a.thief.notebook {
		if got := fmt.Sprint(slices.Sorted(maps.Keys(l.copies[0].jar))); len(l.copies) != 1 || got != "[__Host-session]" {
			t.Errorf("%d copies, of the cookies %s", len(l.copies), got)
		}
	}
	v.open("/") // reads the notice, whose cookie would count
	const junk = "; __Host-session.device.AAAAAAAAAAA="
	session, _, _ := strings.Cut(v.jar.Header(at("/")), "; __Host-thief=") // the thief's cookie, which came last, isn't of it
	room := defaultMaxSize + lootSlack - len(session) - len(junk)
	for _, test := range []struct {
		bytes int
		want  string
	}{
		{room - 1, "The thief has a copy of your cookies, and tries it."},
		{room, "The thief has a copy of your cookies, and tries it."},
		{room + 1, "That is more than the thief can carry: your browser has too many cookies of ended sessions."},
	} {
		steal(token, junk+strings.Repeat("A", test.bytes))
		v.open("/")
		if got := v.notice(); got != test.want {
			t.Errorf("%d bytes of junk: got %q, want %q", test.bytes, got, test.want)
		}
	}
}

// What has been stolen, and what finds it, is neither shown nor logged.
func TestLootIsKeptSecret(t *testing.T) {
	var log bytes.Buffer
	a, site := newDemo(t, func(o *options) { o.log = slog.New(slog.NewTextHandler(&log, nil)) })
	v, _ := stealBound(t, site)
	var said bytes.Buffer
	for _, path := range []string{"/", "/device", "/api/session"} {
		io.Copy(&said, v.do(v.request(http.MethodGet, path, nil)).Body)
	}
	v.open("/")
	token := v.page.find(func(e *element) bool { return e.attr["name"] == cookiesession.CSRFField }).attr["value"]
	resp := v.do(v.request(http.MethodPost, "/steal", url.Values{cookiesession.CSRFField: {token}}))
	fmt.Fprint(&said, resp.Header.Get("Location"))
	v.open("/")

	secrets := map[string]string{}
	for _, c := range v.jar.All() {
		secrets[c.Name] = c.Value
	}
	for id, l := range a.thief.notebook {
		secrets["the ID"] = id
		for name, value := range l.copies[0].jar {
			secrets["stolen "+name] = value
		}
	}
	if len(secrets) < 8 { // session, device and proof, twice; the ID, twice
		t.Fatalf("got only %d secrets", len(secrets))
	}
	if !strings.Contains(log.String(), "reason=unproven") {
		t.Errorf("the thief's tries aren't logged as anybody's: %s", log.String())
	}
	for name, secret := range secrets {
		for where, text := range map[string]string{"log": log.String(), "page": said.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in the %s", name, where)
			}
		}
	}
}
