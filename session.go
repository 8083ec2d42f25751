package cookiesession

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/seed-50e21e88/cookiesession/internal/value"
)

// A Session holds the values of one visitor. The first call of any method opens it, so a request that doesn't touch its
// session pays next to nothing. It opens the Cookie header that the request had when Handler or Load received it; later
// changes of that header have no effect.
//
// Values are copied in and out: encoded at once by Put, decoded afresh by every read. Reading a key decodes that key
// only.
//
// A Session is safe for concurrent use by the goroutines of one request. It must not be used for another request.
type Session struct {
	manager *Manager
	request *http.Request // as Handler or Load received it
	cookies string        // the Cookie header that it had then

	opening sync.Mutex  // held while the session is opened
	isOpen  atomic.Bool // state is set, for good. A commit asks this, since it opens nothing
	state   *state

	mu          sync.Mutex // guards the fields down to passive, and state but for state.incoming
	committed   bool       // the commit has begun, or the handler has panicked, so changes are too late
	delivered   bool       // a Save has written all changes
	destroyed   bool
	regenerated bool
	loggedIn    bool // Regenerate or Remember was called: the application knows who this is
	passive     bool // this request doesn't count as use

	commit       commitState // used by the response writer only, without the lock
	provesDevice bool        // the browser sends the request to prove its device; never changes
}

// A commitState says how far committing a session has got.
type commitState uint8

const (
	commitPending commitState = iota
	commitDone                // or about to be
	commitFailed              // so an error page has been sent
)

// special returns the part of the state that few requests need, for writing to it.
func (s *Session) special() *special {
	if s.state.special == nil {
		s.state.special = new(special)
	}
	return s.state.special
}

// bind makes s the session of r, to be opened later.
func (s *Session) bind(m *Manager, r *http.Request) {
	s.manager, s.request = m, r
	switch lines := r.Header["Cookie"]; len(lines) {
	case 0:
	case 1:
		s.cookies = lines[0]
	default:
		s.cookies = strings.Join(lines, "; ") // as in RFC 9113, 8.2.3
	}
}

// originalRequest returns a copy of the request for a hook, with the Cookie header that it was received with.
func (s *Session) originalRequest(ctx context.Context) *http.Request {
	s.mu.Lock() // a goroutine that outlives the handler may get here while end writes to the request
	r := s.request.WithContext(ctx)
	s.mu.Unlock()
	r.Header = r.Header.Clone()
	if s.cookies == "" {
		r.Header.Del("Cookie")
	} else {
		r.Header["Cookie"] = []string{s.cookies}
	}
	return r
}

// forHook is originalRequest for Import and OnReject. It leads to no session, which may not be open yet.
func (s *Session) forHook() *http.Request {
	return s.originalRequest(context.WithValue(s.request.Context(), s.manager, beingOpened{}))
}

// beingOpened takes the session's place in the context of forHook's request.
type beingOpened struct{}

// changing returns the session's data for writing to them. A copy of the received data is kept, to recognize changes.
func (s *Session) changing() *sessionData {
	if sp := s.special(); !sp.isCopied {
		sp.before, sp.isCopied = s.state.data, true
	}
	return &s.state.data
}

// lock opens the session and locks it.
func (s *Session) lock() {
	s.open()
	s.mu.Lock()
}

func (s *Session) unlock() {
	sp := s.state.special
	if sp == nil || !sp.failure.unlogged {
		s.mu.Unlock()
		return
	}
	sp.failure.unlogged = false
	late := sp.failure
	s.mu.Unlock()
	kind := "key"
	if late.keyless {
		kind = "change"
	}
	s.manager.config.Logger.Warn("cookiesession: session changed after the response header was sent; the change is lost. Change it before the first byte of the response",
		slog.String("method", s.request.Method), slog.String("path", pathOf(s.request)), slog.String(kind, late.name))
}

// mayChange must be called, with the lock held, before the value of a key is changed. After the commit it returns false,
// and notes that for Err, the log and Stats.
func (s *Session) mayChange(key string) bool { return s.mayDo(key, false) }

// mayCall is mayChange for a method that changes what has no key.
func (s *Session) mayCall(method string) bool { return s.mayDo(method, true) }

func (s *Session) mayDo(name string, keyless bool) bool {
	if !s.committed {
		s.delivered = false
		return true
	}
	s.manager.counters.late.Add(1)
	s.fail(ErrCommitted)
	if f := &s.special().failure; !f.late {
		f.late, f.unlogged, f.keyless, f.name = true, true, keyless, strings.Clone(name)
	}
	return false
}

// fail keeps the first error.
func (s *Session) fail(err error) {
	if f := &s.special().failure; f.err == nil {
		f.err = err
	}
}

// encodePair encodes a key and one value for a map of values.
func encodePair(key string, v any) (pair, error) {
	size := 9 // what a number takes at most
	switch v := v.(type) {
	case string:
		size = 3 + len(v)
	case []byte:
		size = 3 + len(v)
	}
	p, err := newPair(key, size, func(dst []byte) ([]byte, error) { return value.Append(dst, v, valuesDepth) })
	if err != nil {
		return p, fmt.Errorf("cookiesession: value of %.40q: %w", key, unprefixed{err})
	}
	return p, nil
}

// encodeAll encodes a map's values, sorted by key.
func encodeAll(m map[string]any) ([]change, error) {
	var changes []change
	for key, v := range m {
		p, err := encodePair(key, v)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change{bytes: p.bytes, split: p.split})
	}
	slices.SortFunc(changes, func(a, b change) int { return bytes.Compare(a.pair().key(), b.pair().key()) })
	return changes, nil
}

// decodeAll decodes all values.
func decodeAll(v *values) map[string]any {
	all := make(map[string]any, v.len())
	for key, encoded := range v.all() {
		all[string(key)] = value.Decode(encoded)
	}
	return all
}

// encoded returns the encoded value of key, or nil. The bytes never change.
func (s *Session) encoded(key string) []byte {
	s.lock()
	defer s.unlock()
	return s.state.values.get(key)
}

// set stores p, or deletes key if p has no value. The caller holds the lock.
func (s *Session) set(key string, p pair) {
	if s.committed && bytes.Equal(s.state.values.get(key), p.value()) {
		return // no change, so not too late
	}
	if s.mayChange(key) {
		s.state.values.set(key, p)
	}
}

// put stores p, or notes the error that encodePair returned with it. The caller holds the lock.
func (s *Session) put(key string, p pair, err error) {
	if err == nil {
		s.set(key, p)
	} else if s.mayChange(key) {
		s.fail(err)
	}
}

// Get returns the value of key, or nil if there is none. Its type is int64 for every integer (uint64 above
// math.MaxInt64), float64, string, bool, []byte, time.Time in UTC, []any or map[string]any, whatever type was put.
func (s *Session) Get(key string) any {
	if encoded := s.encoded(key); encoded != nil {
		return value.Decode(encoded)
	}
	return nil
}

// Put stores a copy of value under a copy of key. Storing an equal value is no change. What can't be encoded (channels,
// functions, cycles, maps whose keys aren't strings, nesting deeper than 32), or couldn't be read back, changes
// nothing, and [Session.Err] returns an error. Structs are stored as maps, by the rules of package
// github.com/vmihailenco/msgpack/v5 and its field tags.
//
// Call it before the first byte of the response: the session goes out with the response's header.
func (s *Session) Put(key string, value any) {
	p, err := encodePair(key, value)
	s.lock()
	defer s.unlock()
	s.put(key, p, err)
}

// Has reports whether key has a value, which may be nil.
func (s *Session) Has(key string) bool { return s.encoded(key) != nil }

// Pull returns the value of key, as Get does, and deletes it.
func (s *Session) Pull(key string) any {
	if encoded := s.pull(key); encoded != nil {
		return value.Decode(encoded)
	}
	return nil
}

func (s *Session) pull(key string) []byte {
	s.lock()
	defer s.unlock()
	encoded := s.state.values.get(key)
	if encoded != nil {
		s.set(key, deletion(key))
	}
	return encoded
}

// Push appends a copy of v to the list that key holds. Without a value, or with nil, as which a nil slice is stored,
// the list is empty. Any other value stays, and [Session.Err] returns an error.
func (s *Session) Push(key string, v any) {
	for {
		list := s.encoded(key)
		pushed, err := pushValue(key, list, v)
		if s.swap(key, list, pushed, err) {
			return
		}
	}
}

// swap is put if key's encoded value is still old; otherwise it returns false.
func (s *Session) swap(key string, old []byte, p pair, err error) bool {
	s.lock()
	defer s.unlock()
	if !bytes.Equal(s.state.values.get(key), old) {
		return false
	}
	s.put(key, p, err)
	return true
}

func pushValue(key string, list []byte, v any) (pair, error) {
	if list == nil || value.IsNil(list) {
		list = emptyList
	}
	pushed, err := newPair(key, len(list)+16, func(dst []byte) ([]byte, error) {
		return value.AppendElement(dst, list, v, valuesDepth)
	})
	if err != nil {
		return pushed, fmt.Errorf("cookiesession: push to %.40q: %w", key, unprefixed{err})
	}
	return pushed, nil
}

var emptyList = value.AppendArrayHeader(nil, 0)

// Increment adds by to the integer that key holds, 0 if it has no value, and returns the sum. If the value or the sum
// is no int64, the value stays, Increment returns it, or 0 if it is no int64, and [Session.Err] returns an error.
func (s *Session) Increment(key string, by int64) int64 {
	s.lock()
	defer s.unlock()
	var old int64
	if encoded := s.state.values.get(key); encoded != nil {
		if err := value.DecodeInto(encoded, &old); err != nil {
			s.put(key, pair{}, fmt.Errorf("cookiesession: increment of %.40q: %w", key, unprefixed{err}))
			return 0
		}
	}
	if by > 0 && old > math.MaxInt64-by || by < 0 && old < math.MinInt64-by {
		s.put(key, pair{}, fmt.Errorf("cookiesession: increment of %.40q overflows", key))
		return old
	}
	p, err := encodePair(key, old+by)
	s.put(key, p, err)
	return old + by
}

// Delete deletes keys and their values.
func (s *Session) Delete(keys ...string) {
	s.lock()
	defer s.unlock()
	for _, key := range keys {
		if s.state.values.get(key) != nil {
			s.set(key, deletion(key))
		}
	}
}

// Clear deletes every value. ID and lifetime stay; so does the CSRF token.
func (s *Session) Clear() {
	s.lock()
	defer s.unlock()
	if s.state.values.len() > 0 && s.mayCall("Clear") {
		s.state.values.clear()
	}
}

// Keys returns the keys that have values, sorted.
func (s *Session) Keys() []string {
	s.lock()
	defer s.unlock()
	keys := make([]string, 0, s.state.values.len())
	for key := range s.state.values.all() {
		keys = append(keys, string(key))
	}
	return keys
}

// All returns every value, as Get does, in a map of the caller's own.
func (s *Session) All() map[string]any {
	s.lock()
	defer s.unlock()
	return decodeAll(&s.state.values)
}

// Err returns the first error of this request's changes: a value that can't be encoded, pushed to or incremented, a
// duration out of range for Remember or ExpireIn, or [ErrCommitted]. A session with an error before the commit isn't
// saved: the browser keeps what it has. Destroy clears the error.
func (s *Session) Err() error {
	s.lock()
	defer s.unlock()
	return s.state.err()
}

// IsNew reports whether the session doesn't come from a cookie: none was received, it was refused, or the session has
// been destroyed. An imported session is new.
func (s *Session) IsNew() bool {
	s.lock()
	defer s.unlock()
	return s.isNew()
}

func (s *Session) isNew() bool { return !s.state.incoming.facts.has(valid) || s.destroyed }

// IsEmpty reports whether the session has no values. A session that is new and empty sets no cookie, unless it has a
// CSRF token.
func (s *Session) IsEmpty() bool {
	s.lock()
	defer s.unlock()
	return s.state.values.len() == 0
}

// Changed reports whether there is something to save: bytes of values, ID, lifetime or CSRF secret differ from what
// was received. Flash messages don't count.
func (s *Session) Changed() bool {
	s.lock()
	defer s.unlock()
	return s.dirty() || s.destroyed && s.deletions() != 0
}

// dirty reports whether session cookies must be written.
func (s *Session) dirty() bool {
	if s.isNew() {
		return s.hasContent() && !s.isWithheld()
	}
	sp := s.state.special
	return s.state.values.changed() || sp != nil && sp.isCopied && sp.before != s.state.data
}

// hasContent reports whether a new session is worth a cookie.
func (s *Session) hasContent() bool {
	return s.state.values.len() > 0 || s.state.data.csrf != (csrfSecret{})
}

// deletions returns which session cookies Destroy deletes.
func (s *Session) deletions() nameSet {
	if s.state.incoming.facts.has(withheld) {
		return 1 // which others there are is unknown, but without cookie 0 they are worthless
	}
	return s.state.incoming.session
}

// encode appends the payload, with now as the time of sealing.
func (s *Session) encode(dst []byte, now int64) []byte {
	s.drawID()
	d := s.state.data
	d.sealed = now
	return appendSession(dst, &d, &s.state.values)
}

// drawID draws a new session's ID, unless it has one. The ID of a session that was received stays, even if it is zero.
func (s *Session) drawID() {
	if id := &s.state.data.id; *id == (sessionID{}) && s.isNew() {
		rand.Read(id[:])
	}
}

// Rejected returns why the session cookie that was received is refused, or nil. Don't show it to the visitor.
func (s *Session) Rejected() *RejectError {
	s.open()
	return s.state.incoming.problems().refused
}

// Format writes the same text for every verb: values never reach a log by way of package fmt.
func (s *Session) Format(f fmt.State, _ rune) {
	io.WriteString(f, "cookiesession.Session")
}

// pathOf returns a request's path, or "" if it has no URL, as one that a test has made.
func pathOf(r *http.Request) string {
	if r.URL == nil {
		return ""
	}
	return r.URL.Path
}
