package cookiesession

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/base64dot"
	"github.com/seed-50e21e88/cookiesession/internal/value"
)

// A Session holds the values of one visitor. The first call of any method opens it, so a request that doesn't touch its
// session pays next to nothing, and fixes what came: later changes of the request's header change nothing.
//
// Values are copied in and out: encoded at once by Put, decoded afresh by every read. Whoever reads a key decodes
// that key only.
//
// A Session is safe for concurrent use by the goroutines of one request. It must not be used for another request.
type Session struct {
	manager *Manager
	request *http.Request // as it came
	cookies []string      // lines of its Cookie header, as they came
	cookie  [1]string     // what cookies is usually made of

	opening   sync.Once
	mu        sync.Mutex // guards what follows
	committed bool       // the response header has been sent
	*state               // nil until opened
}

// state is what a Session holds once it's open.
type state struct {
	came      arrival
	rejected  *RejectError
	importErr error

	data       *sessionData // &came.data, or a copy that may differ
	values     values
	remembered time.Duration // Remember's argument in this request
	flash      *flash        // nil until flashing
	flashing   sync.Once     // opens the flash cookie
	destroyed  bool
	delivered  bool // a Save has written what there is
	late       bool // something was changed after the commit
	warn       bool // log that when the lock is free
	err        error

	// Storage of what a request usually needs little of.
	starts  [12]uint16
	changes [1]change
	fields  headerFields
}

// A smallState is a state with room for a small session's token, to save an allocation.
type smallState struct {
	state
	token [192]byte
}

// newState returns a state, and room for the token that cookie 0 holds if it's small.
func newState(head string) (st *state, room []byte) {
	if n, _ := base64dot.DecodedLen(len(head)); n > 0 && n <= len(smallState{}.token) {
		small := new(smallState)
		return &small.state, small.token[:0]
	}
	return new(state), nil
}

// arrival is what a request brought.
type arrival struct {
	valid    bool        // the session cookie was accepted
	siblings siblings    // what else came
	alive    bool        // it opened and has time left, refused or not
	imported bool        // the values are what Import returned
	names    nameSet     // session cookies that came
	data     sessionData // what the session cookie held, beside its values
	size     int         // of its payload
	seen     int64       // under an idle timeout: when the session was last sealed or leased
	rivals   []origin    // of other sessions that opened and have time left
}

// noteOrigin remembers a session that opened, for Destroy to end. The first one's data is in a already.
func (a *arrival) noteOrigin(now time.Time, d *sessionData) {
	o := d.id.origin()
	switch alive := now.Unix() < d.expires; {
	case o == a.data.id.origin():
		a.alive = a.alive || alive
	case alive && !slices.Contains(a.rivals, o):
		a.rivals = append(a.rivals, o)
	}
}

// arrive makes s the session of r, to be opened later.
func (s *Session) arrive(m *Manager, r *http.Request) {
	s.manager, s.request = m, r
	switch lines := r.Header["Cookie"]; len(lines) {
	case 0:
	case 1:
		s.cookie[0] = lines[0]
		s.cookies = s.cookie[:]
	default:
		s.cookies = slices.Clone(lines)
	}
}

// asItCame returns the request for a hook to look at, with the Cookie header that came.
func (s *Session) asItCame(ctx context.Context) *http.Request {
	r := s.request.WithContext(ctx)
	r.Header = r.Header.Clone()
	if len(s.cookies) == 0 {
		r.Header.Del("Cookie")
	} else {
		r.Header["Cookie"] = slices.Clone(s.cookies)
	}
	return r
}

// forHook is asItCame for a hook that runs while the session is being opened.
func (s *Session) forHook() *http.Request {
	return s.asItCame(context.WithValue(s.request.Context(), s.manager, beingOpened{}))
}

// beingOpened is in a session's place as long as there is none.
type beingOpened struct{}

func (s *Session) open() { s.opening.Do(func() { s.manager.open(s) }) }

// install makes what open found the session's state.
func (s *Session) install(now time.Time, st *state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = st
	if st.came.valid {
		st.data = &st.came.data
		st.values.changes = st.changes[:0]
		return
	}
	imported := st.values.changes
	s.begin(now)
	s.values.changes = imported
}

// changing returns the data to write to: what came stays as it is, to tell a change from none.
func (st *state) changing() *sessionData {
	if st.data == &st.came.data {
		d := *st.data
		st.data = &d
	}
	return st.data
}

// view returns a copy of the session that was found, for Revoked to read before anybody else may.
func (s *Session) view(now time.Time, found *state) *Session {
	c := &Session{manager: s.manager, request: s.request, cookies: s.cookies}
	st := &state{came: found.came, values: found.values}
	st.came.valid = true
	c.opening.Do(func() { c.install(now, st) })
	return c
}

// lock opens the session and locks it.
func (s *Session) lock() {
	s.open()
	s.mu.Lock()
}

func (s *Session) unlock() {
	warn := s.warn
	s.warn = false
	s.mu.Unlock()
	if warn {
		s.manager.config.Logger.Warn("cookiesession: session changed after the response header was sent; the change is lost")
	}
}

// mayChange must be asked, with the lock held, before anything is changed.
func (s *Session) mayChange() bool {
	if s.committed {
		s.manager.counters.late.Add(1)
		s.fail(ErrCommitted)
		s.warn = s.warn || !s.late // several changes may come under one lock
		s.late = true
		return false
	}
	s.delivered = false
	return true
}

// fail keeps the first error.
func (s *Session) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// set stores, or with nil deletes, an encoded value. The lock is held.
func (s *Session) set(key string, encoded []byte) {
	if s.committed && string(s.values.get(key)) == string(encoded) {
		return // no change, so not too late
	}
	if s.mayChange() {
		s.values.set(key, encoded)
	}
}

// encodeValue encodes one value for a map of values.
func encodeValue(key string, v any) ([]byte, error) {
	encoded, err := value.Append(nil, v, valuesDepth)
	if err != nil {
		return nil, fmt.Errorf("cookiesession: value of %.40q: %w", key, unprefixed{err})
	}
	return encoded, nil
}

// encodeAll encodes a map's values, sorted by key.
func encodeAll(m map[string]any) ([]change, error) {
	var changes []change
	for key, v := range m {
		encoded, err := encodeValue(key, v)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change{key: key, encoded: encoded})
	}
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.key, b.key) })
	return changes, nil
}

// decodeAll decodes all values.
func decodeAll(v *values) map[string]any {
	all := make(map[string]any, v.len())
	for key, encoded := range v.all() {
		all[key] = value.Decode(encoded)
	}
	return all
}

// encoded returns the encoded value of key, or nil. The bytes never change.
func (s *Session) encoded(key string) []byte {
	s.lock()
	defer s.unlock()
	return s.values.get(key)
}

// Get returns the value of key, or nil if there is none. Its type is int64 for every integer (uint64 above
// math.MaxInt64), float64, string, bool, []byte, time.Time in UTC, []any or map[string]any, whatever type was put.
func (s *Session) Get(key string) any {
	if encoded := s.encoded(key); encoded != nil {
		return value.Decode(encoded)
	}
	return nil
}

// Put stores a copy of value under key. Storing an equal value is no change. What can't be encoded (channels,
// functions, cycles, maps whose keys aren't strings, nesting deeper than 32) changes nothing, and [Session.Err] says
// so. Structs are stored as maps, by the rules of package github.com/vmihailenco/msgpack/v5 and its field tags.
func (s *Session) Put(key string, value any) {
	encoded, err := encodeValue(key, value)
	s.lock()
	defer s.unlock()
	s.put(key, encoded, err)
}

// put stores what encodeValue returned.
func (s *Session) put(key string, encoded []byte, err error) {
	if err == nil {
		s.set(key, encoded)
	} else if s.mayChange() {
		s.fail(err)
	}
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
	encoded := s.values.get(key)
	s.set(key, nil)
	return encoded
}

// Push appends a copy of value to the list that key holds, or to an empty one if it has no value or nil, which is what
// a nil slice is stored as. If it has another value, that stays, and [Session.Err] says so.
func (s *Session) Push(key string, v any) {
	for {
		list := s.encoded(key)
		pushed, err := pushValue(key, list, v)
		if s.swap(key, list, pushed, err) {
			return
		}
	}
}

// swap stores what encodeValue returned if key's encoded value is still old.
func (s *Session) swap(key string, old, encoded []byte, err error) bool {
	s.lock()
	defer s.unlock()
	if string(s.values.get(key)) != string(old) {
		return false
	}
	s.put(key, encoded, err)
	return true
}

func pushValue(key string, list []byte, v any) ([]byte, error) {
	if list == nil || value.IsNil(list) {
		list = emptyList
	}
	pushed, err := value.AppendElement(nil, list, v, valuesDepth)
	if err != nil {
		return nil, fmt.Errorf("cookiesession: push to %.40q: %w", key, unprefixed{err})
	}
	return pushed, nil
}

var emptyList = value.AppendArrayHeader(nil, 0)

// Increment adds by to the integer that key holds, 0 if it has no value, and returns the sum. If the sum is no int64,
// or the value no integer, it stays, Increment returns it as far as it is an int64, else 0, and [Session.Err] says
// so.
func (s *Session) Increment(key string, by int64) int64 {
	s.lock()
	defer s.unlock()
	var old int64
	if encoded := s.values.get(key); encoded != nil {
		if err := value.DecodeInto(encoded, &old); err != nil {
			s.put(key, nil, fmt.Errorf("cookiesession: increment of %.40q: %w", key, unprefixed{err}))
			return 0
		}
	}
	if by > 0 && old > math.MaxInt64-by || by < 0 && old < math.MinInt64-by {
		s.put(key, nil, fmt.Errorf("cookiesession: increment of %.40q overflows", key))
		return old
	}
	s.set(key, value.AppendInt(nil, old+by))
	return old + by
}

// Delete deletes keys and their values.
func (s *Session) Delete(keys ...string) {
	s.lock()
	defer s.unlock()
	for _, key := range keys {
		s.set(key, nil)
	}
}

// Clear deletes every value. ID and lifetime stay; so does the CSRF token.
func (s *Session) Clear() {
	s.lock()
	defer s.unlock()
	if s.values.len() > 0 && s.mayChange() {
		s.values.clear()
	}
}

// Keys returns the keys that have values, sorted.
func (s *Session) Keys() []string {
	s.lock()
	defer s.unlock()
	keys := make([]string, 0, s.values.len())
	for key := range s.values.all() {
		keys = append(keys, key)
	}
	return keys
}

// All returns every value, as Get does, in a map of the caller's own.
func (s *Session) All() map[string]any {
	s.lock()
	defer s.unlock()
	return decodeAll(&s.values)
}

// Err returns the first error of this request's changes: a value that can't be encoded, pushed to or incremented, a
// duration out of range for Remember, or [ErrCommitted]. A session with an error before the commit isn't saved: the
// browser keeps what it has. Destroy clears the error.
func (s *Session) Err() error {
	s.lock()
	defer s.unlock()
	return s.err
}

// IsNew reports whether nothing of the session came from a cookie: there was none, it was refused, or it has been
// destroyed. An imported session is new.
func (s *Session) IsNew() bool {
	s.lock()
	defer s.unlock()
	return s.isNew()
}

func (s *Session) isNew() bool { return !s.came.valid || s.destroyed }

// IsEmpty reports whether the session has no values. An empty session that is new sets no cookie.
func (s *Session) IsEmpty() bool {
	s.lock()
	defer s.unlock()
	return s.values.len() == 0
}

// Changed reports whether there is something to save: bytes of values, ID, lifetime or CSRF secret differ from what
// came. Flash messages don't count.
func (s *Session) Changed() bool {
	s.lock()
	defer s.unlock()
	return s.dirty() || s.destroyed && s.came.names != 0
}

// dirty reports whether session cookies must be written.
func (s *Session) dirty() bool {
	if s.isNew() {
		return s.values.len() > 0 || s.data.csrf != (csrfSecret{})
	}
	return s.values.changed() || *s.data != s.came.data
}

// encode appends the payload, sealed now.
func (s *Session) encode(dst []byte, now int64) []byte {
	s.drawID()
	d := *s.data
	d.sealed = now
	return appendSession(dst, &d, &s.values)
}

// Size returns how many bytes session and flash would add to the Cookie request header if saved now, "; " counted
// once a cookie. Config.MaxSize is the limit.
func (s *Session) Size() int {
	s.lock()
	defer s.unlock()
	m, total := s.manager, 0
	if !s.isNew() || s.dirty() {
		_, total = m.session.count(overhead + len(s.encode(nil, m.now().Unix())))
	}
	switch s.flash.action() {
	case flashWrite:
		_, n := m.flash.count(overhead + len(s.flash.encode(nil, m.flashExpiry(m.now()))))
		total += n
	case flashKeep:
		total += s.flashBytes()
	}
	return total
}

// flashBytes returns what the flash cookies that came take in a Cookie header, "; " counted once a cookie.
func (s *Session) flashBytes() (n int) {
	if !s.came.siblings.flash {
		return 0
	}
	name := s.manager.flash.name
	for suffix, value := range ownCookies(s.cookies, name) {
		n += len(name) + len(suffix) + len("=; ") + len(value)
	}
	return n
}

// largest returns the largest values of session and flash for a SizeError.
func (s *Session) largest() []KeySize {
	flashed := s.flash.outcome()
	return largest(&s.values, &flashed)
}

func largest(session, flash *values) []KeySize {
	var sizes []KeySize
	add := func(v *values, flash bool) {
		for key, encoded := range v.all() {
			sizes = append(sizes, KeySize{key, len(value.AppendString(nil, key)) + len(encoded), flash})
		}
	}
	add(session, false)
	add(flash, true)
	slices.SortStableFunc(sizes, func(a, b KeySize) int { return b.Bytes - a.Bytes })
	return sizes[:min(len(sizes), 10)]
}

// Rejected returns why the session cookie that came was refused, or nil. Don't show it to the visitor.
func (s *Session) Rejected() *RejectError {
	s.lock()
	defer s.unlock()
	return s.rejected
}

// Format writes the same few words for every verb: values never reach a log by way of package fmt.
func (s *Session) Format(f fmt.State, _ rune) {
	io.WriteString(f, "cookiesession.Session")
}
