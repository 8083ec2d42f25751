package cookiesession_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A deviceSimulation is one visitor whose browser binds sessions, with several requests under way at once, two servers
// with clocks of their own that rotate keys one after the other, a network that loses requests and responses at times,
// and thieves who copy the jar and do with the copies what they like.
type deviceSimulation struct {
	t       *testing.T
	r       *rand.Rand
	mu      sync.Mutex // held by whoever runs, but not while a request is under way
	running sync.WaitGroup
	m       *cookiesession.Manager // for looking into cookies
	servers []http.Handler
	rings   []*cookiesession.Keyring
	ahead   []time.Duration // of the servers' clocks
	keys    int             // how many there have been
	behind  bool            // the second server seals with an older key

	b        *deviceBrowser
	renewing map[string]bool // by identifier
	pages    int             // under way
	losing   bool            // the network loses something now and then
	loggedIn time.Time       // zero if the visitor isn't
	thieves  []*deviceThief
	did      []string
	seen     map[string]int
}

// A deviceThief has copied a jar.
type deviceThief struct {
	until time.Time           // what was copied works
	jar   map[string][]string // all values of each cookie, also of cookies that were got since
	own   *deviceBrowser      // where the thief is logged in honestly
}

func newDeviceSimulation(t *testing.T, seed uint64) *deviceSimulation {
	s := &deviceSimulation{t: t, r: rand.New(rand.NewPCG(seed, 20)), renewing: map[string]bool{}, seen: map[string]int{}, keys: 1}
	for range 2 {
		ring := newRing(t, playKey(0))
		ahead := time.Duration(s.r.IntN(60)-30) * time.Second
		shop := newShop(t, withKeys(ring))
		shop.m.SetClock(func() time.Time { return time.Now().Add(ahead) })
		s.m, s.servers, s.rings, s.ahead = shop.m, append(s.servers, shop), append(s.rings, ring), append(s.ahead, ahead)
	}
	s.b = newDeviceBrowser(t, http.HandlerFunc(s.carry))
	s.b.busy = true // registers on its own time
	return s
}

func (s *deviceSimulation) note(format string, args ...any) {
	s.did = append(s.did, time.Now().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (s *deviceSimulation) fail(format string, args ...any) {
	s.t.Helper()
	last := s.did[max(0, len(s.did)-40):]
	s.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(last, "\n"))
}

func (s *deviceSimulation) wait(d time.Duration) {
	s.mu.Unlock()
	time.Sleep(d)
	s.mu.Lock()
}

func (s *deviceSimulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.r.Int64N(int64(d)))
}

// carry takes a request of the browser to a server, and the answer back.
func (s *deviceSimulation) carry(w http.ResponseWriter, r *http.Request) {
	delay := 50 * time.Millisecond
	if s.r.IntN(10) == 0 {
		delay = 4 * time.Second
	}
	there, back := s.upTo(delay), s.upTo(delay)
	server := s.servers[s.r.IntN(2)]
	lost := -1
	if s.losing {
		lost = s.r.IntN(6)
	}
	s.wait(there)
	rec := httptest.NewRecorder()
	if lost != 0 {
		server.ServeHTTP(rec, r)
	}
	s.wait(back)
	if lost == 0 || lost == 1 {
		w.WriteHeader(http.StatusBadGateway)
		s.note("lost %s", r.URL.Path)
		return
	}
	maps.Copy(w.Header(), rec.Result().Header)
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
	if r.URL.Path == devicePath {
		s.note("endpoint %q: %d, sets %s", r.Header.Get("Sec-Secure-Session-Id"), rec.Code, cookieNames(rec.Result().Header))
		if rec.Code >= 400 && rec.Code < 500 && rec.Code != http.StatusForbidden {
			s.fail("the endpoint answers %d", rec.Code)
		}
	}
}

// request sends a request as the browser does, and returns the answer to it.
func (s *deviceSimulation) request(method, path, from string) *recorder {
	r := httptest.NewRequest(method, "https://shop.example"+path, nil)
	r.Header.Set("Sec-Fetch-Site", from)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	var skipped []string
	for _, identifier := range slices.Sorted(maps.Keys(s.b.bindings)) {
		bs := s.b.bindings[identifier]
		if bs == nil || from == otherSite || from == otherHost {
			continue
		}
		left, there := s.b.left(bs.cookie)
		switch {
		case there && left >= renewAhead:
		case there && !s.renewing[identifier]:
			s.renewing[identifier] = true
			s.running.Go(func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.b.refresh(bs)
				s.renewing[identifier] = false
			})
		case !there:
			for s.renewing[identifier] {
				s.wait(7 * time.Millisecond)
			}
			if bs = s.b.bindings[identifier]; bs == nil {
				continue
			}
			if _, there = s.b.left(bs.cookie); there {
				continue
			}
			s.renewing[identifier] = true
			why := s.b.refresh(bs)
			s.renewing[identifier] = false
			if why != "" {
				skipped = append(skipped, why+`;session_identifier="`+identifier+`"`)
			}
		}
	}
	if skipped != nil {
		r.Header.Set("Secure-Session-Skipped", strings.Join(skipped, ", "))
	}
	rec := s.b.exchange(r, from == otherSite && method != http.MethodGet)
	s.note("%s %s from %s: %d %.20q, sets %s", method, path, from, rec.Code, rec.Body, cookieNames(rec.Result().Header))
	if len(s.b.invited) > 0 {
		s.running.Go(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.wait(s.upTo(2 * time.Second)) // until the key is made
			s.b.register()
		})
	}
	if onceMore.MatchString(rec.Body.String()) {
		return s.request(http.MethodGet, path, ownPage)
	}
	return rec
}

// page has the visitor look at a page, or do something, and sees that they are who they are.
func (s *deviceSimulation) page(path, from string) {
	since := s.loggedIn
	rec := s.request(http.MethodGet, path, from)
	got := rec.Body.String()
	s.seen[fmt.Sprintf("%s %d", path, rec.Code)]++
	if rec.Code != http.StatusOK || since != s.loggedIn {
		return
	}
	is := strings.HasPrefix(got, "ada")
	if !since.IsZero() && time.Since(since) < day-2*time.Minute && !is {
		s.fail("the visitor is logged in, and got a page for %s", got)
	}
	if since.IsZero() && is {
		s.fail("the visitor isn't logged in, and got a page for %s", got)
	}
}

// settle waits for all that is under way.
func (s *deviceSimulation) settle() {
	s.mu.Unlock()
	s.running.Wait()
	s.mu.Lock()
}

// step does one thing.
func (s *deviceSimulation) step() {
	starts := []string{typed, ownPage, ownPage, otherSite, otherHost}
	from := starts[s.r.IntN(len(starts))]
	switch n := s.r.IntN(100); {
	case n < 45:
		if s.pages >= 3 {
			s.settle()
		}
		pages := []string{"/", "/", "/", "/change", "/change", "/remember", "/extend", "/persist"}
		path := pages[s.r.IntN(len(pages))]
		s.pages++
		s.running.Go(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.page(path, from)
			s.pages--
		})
	case n < 55:
		s.wait(s.upTo(time.Second))
	case n < 70:
		s.wait(s.upTo(6 * time.Minute))
	case n < 74:
		s.settle()
		s.wait(s.upTo(5 * time.Hour))
	case n < 79: // logs in, or once more
		s.settle()
		if s.losing {
			return
		}
		method := http.MethodGet
		if from != typed && s.r.IntN(2) == 0 {
			method = http.MethodPost
		}
		path := "/login"
		if s.r.IntN(3) == 0 {
			path = "/log-in-anew"
		}
		if rec := s.request(method, path, from); rec.Code == http.StatusOK {
			s.loggedIn = time.Now()
		} else if rec.Code != http.StatusServiceUnavailable {
			s.fail("login: %d", rec.Code)
		}
	case n < 82:
		s.settle()
		if !s.loggedIn.IsZero() && !s.losing {
			s.page("/regenerate", from)
		}
	case n < 84:
		s.settle()
		if !s.losing {
			if rec := s.request(http.MethodGet, "/logout", ownPage); rec.Code == http.StatusOK {
				s.loggedIn = time.Time{}
			}
		}
	case n < 88:
		s.steal()
	case n < 91:
		s.rotate()
	case n < 93:
		s.losing = !s.losing
		s.note("losing %v", s.losing)
	case n < 97:
		s.check()
	default:
		s.settle()
	}
	for _, thief := range s.thieves {
		s.act(thief)
	}
}

// check sees that the visitor is logged in, and bound, when all is well.
func (s *deviceSimulation) check() {
	s.settle()
	if s.losing {
		return
	}
	s.wait(10 * time.Minute) // for the quota
	if s.loggedIn.IsZero() || time.Since(s.loggedIn) > day-time.Hour {
		return
	}
	rec := s.request(http.MethodGet, "/", typed)
	bound := s.boundTo() != ""
	want := "ada" // the network lost the registration, or a slower response wrote the permit again
	if bound {
		want = "ada proven"
		s.seen["bound"]++
	}
	if got := rec.Body.String(); got != want {
		s.fail("all is well, and the visitor got a page for %s, want %s", got, want)
	}
}

// boundTo returns the key in the jar that the session in it is bound to, "" if there is none.
func (s *deviceSimulation) boundTo() (key string) {
	found := s.m.Inspect(s.b.jar.Header(site))
	for _, session := range found {
		for _, device := range found {
			if session.Purpose == "session" && device.Purpose == "device" && session.ID[:16] == device.ID[:16] {
				key = device.DeviceKey
			}
		}
	}
	return key
}

// rotate goes on with the servers' keys: a new one opens everywhere before it seals anywhere.
func (s *deviceSimulation) rotate() {
	ring := func(seals int) (keys []cookiesession.Key) {
		keys = append(keys, playKey(seals))
		for i := s.keys - 1; i >= 0; i-- {
			if i != seals {
				keys = append(keys, playKey(i))
			}
		}
		return keys
	}
	replace := func(server, seals int) {
		if err := s.rings[server].Replace(ring(seals)...); err != nil {
			s.t.Fatal(err)
		}
	}
	if s.behind {
		replace(1, s.keys-1)
	} else {
		s.keys++
		replace(1, s.keys-2)
		replace(0, s.keys-1)
	}
	s.behind = !s.behind
	s.note("rotated, behind %v", s.behind)
}

// steal copies the jar, if the browser has a key and a proof by it.
func (s *deviceSimulation) steal() {
	thief := &deviceThief{jar: map[string][]string{}}
	if s.boundTo() == "" {
		return // a copy from before the registration is worth a session
	}
	for _, is := range s.m.Inspect(s.b.jar.Header(site)) {
		if is.Purpose == "proof" && is.Expires.After(thief.until) {
			thief.until = is.Expires
		}
	}
	for _, c := range s.b.jar.All() {
		thief.jar[c.Name] = []string{c.Value}
	}
	thief.until = thief.until.Add(-min(s.ahead[0], s.ahead[1]))
	thief.own = newDeviceBrowser(s.t, s.servers[0])
	thief.own.visit("/mallory", typed)
	for _, c := range thief.own.jar.All() {
		thief.jar[c.Name] = append(thief.jar[c.Name], c.Value)
	}
	s.thieves = append(s.thieves, thief)
	s.note("thief %d, until %v", len(s.thieves), thief.until.Format("02 15:04:05"))
	s.seen["stolen"]++
	for range 8 {
		s.act(thief)
	}
}

// act has a thief send a request with some of the cookies, and keep those of the answer.
func (s *deviceSimulation) act(thief *deviceThief) {
	if s.r.IntN(2) == 0 {
		return
	}
	var cookies []string
	for _, name := range slices.Sorted(maps.Keys(thief.jar)) {
		if values := thief.jar[name]; s.r.IntN(6) > 0 {
			cookies = append(cookies, name+"="+values[len(values)-1-s.r.IntN(min(len(values), 1+s.r.IntN(3)))])
		}
	}
	path := actions[s.r.IntN(len(actions))]
	r := httptest.NewRequest(http.MethodGet, "https://shop.example"+path, nil)
	if s.r.IntN(4) == 0 { // registers or renews with a key of the thief's
		challenges := append(slices.Clone(thief.own.invited), invited{field: "x"})
		challenge := challenges[s.r.IntN(len(challenges))].field
		for _, bs := range thief.own.bindings {
			if challenge == "x" {
				challenge = bs.challenge
			}
			r = asking(devicePath, "", sign(s.t, bs.key, challenge, s.r.IntN(2) == 0))
		}
		if s.r.IntN(2) == 0 {
			for name := range thief.jar {
				if _, tag, ok := strings.Cut(name, ".device."); ok {
					r.Header.Set("Sec-Secure-Session-Id", tag)
				}
			}
		}
	}
	r.Header.Set("Cookie", strings.Join(cookies, "; "))
	rec := httptest.NewRecorder()
	s.servers[s.r.IntN(2)].ServeHTTP(rec, r)
	if strings.HasPrefix(rec.Body.String(), "ada") {
		s.seen["thief in time"]++
		if time.Now().After(thief.until) {
			s.fail("%v after its proof has expired a copy got a page for %s by %s with %q", time.Since(thief.until), rec.Body, path, cookies)
		}
	} else if time.Now().After(thief.until) {
		s.seen["thief too late"]++
	}
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge >= 0 {
			thief.jar[c.Name] = append(thief.jar[c.Name], c.Value)
		}
	}
	thief.own.invited = append(thief.own.invited, invitedBy(rec)...)
}

func invitedBy(rec *recorder) (all []invited) {
	for _, field := range rec.Result().Header["Secure-Session-Registration"] {
		if m := invitation.FindStringSubmatch(field); m != nil {
			all = append(all, invited{field: m[2]})
		}
	}
	return all
}

// TestDeviceSimulation plays visitors and thieves by chance, the same in each run but for what happens at one instant.
func TestDeviceSimulation(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newDeviceSimulation(t, seed)
				s.mu.Lock()
				defer s.mu.Unlock()
				for range 300 {
					s.step()
				}
				s.losing = false
				s.check()
				s.settle()
				for what, n := range s.seen {
					seen[what] += n
				}
			})
		})
	}
	for _, what := range []string{"/ 200", "/ 502", "/ 503", "bound", "stolen", "thief in time", "thief too late"} {
		if seen[what] < 10 {
			t.Errorf("seen %s %d times, want at least 10 times: %v", what, seen[what], seen)
		}
	}
}
