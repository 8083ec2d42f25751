package cookiesession

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Manager keeps the sessions that one Config describes. [New] makes one; the zero Manager is of no use. It is safe for
// concurrent use. Two Managers with different Names keep two independent sessions for a visitor.
type Manager struct {
	config          Config
	name            string // of the session cookie, as sent
	attributes      attributes
	session         *compartment
	flash           *compartment
	lease           *compartment
	importDeletions map[string]bool // Set-Cookie lines
	counters        counters
	now             func() time.Time
}

// New returns a Manager, or an error for a Config that is inconsistent in any way: it says what to change.
func New(c Config) (*Manager, error) {
	c.ImportCookies = slices.Compact(slices.Sorted(slices.Values(c.ImportCookies)))
	if err := c.complete(); err != nil {
		return nil, err
	}
	m := &Manager{config: c, name: c.cookieName(), attributes: newAttributes(&c), now: time.Now}
	m.session = m.newCompartment(purposeSession, sessionInfix)
	m.flash = m.newCompartment(purposeFlash, flashInfix)
	m.lease = m.newCompartment(purposeLease, leaseInfix)
	if err := m.checkSize(); err != nil {
		return nil, err
	}
	m.importDeletions = make(map[string]bool, len(c.ImportCookies))
	for _, name := range c.ImportCookies {
		m.importDeletions[m.importDeletion(name)] = true
	}
	return m, nil
}

// CookieName returns the session cookie's name as it is sent, with its prefix.
func (m *Manager) CookieName() string { return m.name }

// Stats returns the counters since New. They are read one by one, so a request in flight may show in some only.
func (m *Manager) Stats() Stats { return m.counters.read() }

// Load returns the session of r without any middleware: opened, and never nil. The error, if any, says why the
// visitor has none or another than the cookie's: a *RejectError, which wraps what Revoked failed with, or what Import
// failed with. Inside Handler it returns that Handler's session. To answer the visitor, call [Manager.Save] before
// the response header is sent.
func (m *Manager) Load(r *http.Request) (*Session, error) {
	came := r.Context().Value(m)
	s, ok := came.(*Session)
	if !ok {
		if came != nil {
			panic("cookiesession: Load called by Import or OnReject for the session that is being opened")
		}
		s = new(Session)
		s.arrive(m, r)
	}
	s.open()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rejected != nil {
		return s, s.rejected
	}
	return s, s.importErr
}

// Save writes what the browser must be told of s into the response header h: Set-Cookie lines if anything changed, in
// place of what an earlier Save put there, and Vary and Cache-Control to go with them. It may be called again after
// further changes.
//
// The error is what [Session.Err] returns if a value couldn't be stored, a [*SizeError], that no key is active, or that
// s is nil or another Manager's. Then h gets no cookies but what Destroy has to say, what an earlier Save put there is
// gone, and the browser keeps what it has.
func (m *Manager) Save(h http.Header, s *Session) error {
	if s == nil || s.manager != m {
		return errors.New("cookiesession: Save of no session, or of another Manager's")
	}
	s.open()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := m.save(h, s, new(headerFields))
	s.delivered = err == nil
	return err
}

// open turns the cookies that came into s's values: join, open, decode, and see whether what they say is valid still.
func (m *Manager) open(s *Session) {
	now := m.now()
	var came chunkSet
	m.session.collect(&came, s.cookies)
	st, room := newState(came.heads[0])
	came.room = room
	defer s.install(now, st) // if a hook panics too: then the visitor has an empty session
	found := &st.came
	found.names, found.siblings = came.came, came.siblings
	opens, ambiguous, label := false, false, ""
	refused := m.session.openEach(now, &came, func(o opened) Reason {
		next := st
		if opens {
			next = new(state)
		}
		d := &next.came.data
		if !decodeSession(o.payload, d, &next.values, next.starts[:0]) {
			*d, next.values = sessionData{}, values{} // what it left would show in the next candidate's
			return ReasonMalformed
		}
		found.noteOrigin(now, d)
		next.came.size = len(o.payload)
		if opens {
			if d.id != found.data.id {
				ambiguous = true
				return 0
			}
			if d.sealed <= found.data.sealed {
				return 0
			}
			found.data, found.size, st.values = *d, next.came.size, next.values
		}
		opens, label = true, o.label
		return 0
	})
	switch {
	case refused != nil:
	case ambiguous:
		refused = m.session.reject(ReasonAmbiguous)
	case opens:
		refused = m.validate(s, now, &came, st, label)
		found.valid = refused == nil
	case m.config.Import != nil && came.came == 0 && !(came.siblings.ended && hasMarkers(s.cookies, m.name)):
		m.importValues(s, now, st)
	}
	if refused != nil {
		st.rejected = refused
		m.report(s, refused)
	}
}

// validate returns why the session that opened is refused all the same, or nil. The server enforces all of it from
// sealed times: what the browser deletes, and when, is a courtesy.
func (m *Manager) validate(s *Session, now time.Time, came *chunkSet, st *state, label string) *RejectError {
	found := &st.came
	d, seconds := &found.data, now.Unix()
	refuse := func(reason Reason, err error) *RejectError {
		return &RejectError{Reason: reason, Cookie: m.name, KeyLabel: label, Err: err}
	}
	switch {
	case d.created > seconds+clockSkew || d.sealed > seconds+clockSkew:
		return refuse(ReasonFuture, nil)
	case seconds >= d.expires:
		return refuse(ReasonExpired, nil)
	case d.created < m.config.Keys.notBefore():
		return refuse(ReasonRevoked, nil)
	case came.siblings.ended && hasMarker(s.cookies, m.name, d.id.origin()):
		return refuse(ReasonEnded, nil)
	}
	if m.config.IdleTimeout > 0 && d.mode != modeRemembered {
		found.seen = max(d.sealed, m.lastSeen(s, now, came, d.id))
		if seconds-found.seen > int64(m.config.IdleTimeout/time.Second) {
			return refuse(ReasonIdle, nil)
		}
	}
	if m.config.Revoked != nil {
		revoked, err := m.config.Revoked(s.request.Context(), s.view(now, st))
		if err != nil {
			m.config.Logger.Error("cookiesession: Revoked failed, so the session is refused", "error", err)
		}
		if revoked || err != nil {
			return refuse(ReasonRevoked, err)
		}
	}
	return nil
}

// clockSkew is how far ahead another server's clock may be, in seconds.
const clockSkew = 60

// importValues asks Import for the values of a visitor who has no session.
func (m *Manager) importValues(s *Session, now time.Time, st *state) {
	imported, err := m.config.Import(s.forHook())
	if err == nil {
		st.values.changes, err = encodeAll(imported)
	}
	if err == nil {
		err = m.checkImport(now, &st.values) // or no response to this visitor could be saved
	}
	if err != nil {
		m.config.Logger.Error("cookiesession: Import failed, so the visitor has an empty session", "error", err)
		st.importErr, st.values = err, values{}
	}
	st.came.imported = st.values.changed()
}

// checkImport returns a *SizeError if a new session with these values is too large.
func (m *Manager) checkImport(now time.Time, v *values) error {
	t := now.Unix()
	_, size := m.session.count(overhead + len(appendSession(nil, &sessionData{created: t, sealed: t, expires: t}, v)))
	if size > m.config.MaxSize {
		return &SizeError{Size: size, Limit: m.config.MaxSize, Keys: largest(v, new(values))}
	}
	return nil
}

// report counts a refusal and tells OnReject and the log.
func (m *Manager) report(s *Session, err *RejectError) {
	m.counters.rejected[err.Reason].Add(1)
	level := slog.LevelInfo
	if err.Reason == ReasonExpired || err.Reason == ReasonIdle || err.Reason == ReasonEnded {
		level = slog.LevelDebug // everyday ends of a session
	}
	m.config.Logger.Log(s.request.Context(), level, "cookiesession: cookie refused", "cookie", err.Cookie, "reason", err.Reason.String(), "key", err.KeyLabel)
	if err.Reason == ReasonUnknownKey && err.Err != nil {
		m.config.Logger.Warn("cookiesession: key file could not be read again; the last good keys stay in force", "error", err.Err)
	}
	if m.config.OnReject != nil {
		m.config.OnReject(s.forHook(), err)
	}
}

// save writes s into h, which may keep parts of fields: encode, seal, split. s.mu is held.
func (m *Manager) save(h http.Header, s *Session, fields *headerFields) error {
	if s.silent() && len(h["Set-Cookie"]) == 0 {
		varyCookie(h, &fields.vary)
		return nil
	}
	b := buffers.Get().(*buffer)
	defer b.release()
	now := m.now()

	saved, err := false, s.err
	if err == nil {
		saved, err = m.writeValues(b, s, now)
	}
	if err != nil {
		saved = false // though the session's own lines may have been written before the flash message failed
		b.lines.reset()
		m.counters.saveErrors.Add(1)
	}
	if s.destroyed {
		if !saved {
			m.session.delete(&b.lines, s.came.names)
		}
		m.writeEnd(b, s, now)
	}
	if s.destroyed || s.came.imported && err == nil { // if nothing is left to save, too: or it would be imported again
		m.deleteImported(b, s)
	}
	if err == nil && s.came.valid {
		if !s.destroyed {
			m.writeLease(b, s, now, saved)
		}
		m.deleteOldMarkers(b, s, now)
	}

	m.setLines(h, &b.lines, &fields.lines)
	varyCookie(h, &fields.vary)
	if len(b.lines.ends) > 0 {
		keepPrivate(h, &fields.caching)
		m.counters.saved.Add(1)
		m.warnOfLargeResponse(len(b.lines.buf))
	}
	return err
}

// silent reports whether it's plain that the browser needn't be told anything: the usual case, of a request that only
// reads.
func (s *Session) silent() bool {
	return s.err == nil && !s.destroyed && !s.came.imported && !s.dirty() && s.flash.action() == flashKeep &&
		(!s.came.valid || !s.came.siblings.ended && s.manager.config.IdleTimeout == 0)
}

// writeValues writes the session's cookies and the flash cookies, as far as they must change.
func (m *Manager) writeValues(b *buffer, s *Session, now time.Time) (saved bool, err error) {
	saved = s.dirty()
	if saved {
		b.session = s.encode(roomFor(b.session), now.Unix())
	}
	action := s.flash.action()
	if action == flashWrite {
		b.flash = s.flash.encode(roomFor(b.flash), m.flashExpiry(now))
	}
	if saved || action == flashWrite {
		if err := m.checkTotal(b, s, saved, action); err != nil {
			return false, err
		}
	}
	if saved {
		if err := m.session.write(&b.lines, now, b.session, s.maxAge(now), s.came.names); err != nil {
			return false, err
		}
	}
	switch action {
	case flashWrite:
		return saved, m.flash.write(&b.lines, now, b.flash, seconds(m.config.FlashLifetime), s.flash.names)
	case flashDelete:
		m.flash.delete(&b.lines, s.flash.names)
	}
	return saved, nil
}

// checkTotal returns a *SizeError if what is about to be written, with what stays, is too large.
func (m *Manager) checkTotal(b *buffer, s *Session, saved bool, action flashAction) error {
	cookies, total := 0, 0
	limit := m.config.MaxSize
	if saved {
		cookies, total = m.session.count(len(b.session) + overhead - payloadStart)
	} else if s.came.valid && !s.destroyed {
		_, total = m.session.count(s.came.size + overhead)
	}
	if action == flashWrite {
		n, size := m.flash.count(len(b.flash) + overhead - payloadStart)
		cookies, total = max(cookies, n), total+size
	} else if action == flashKeep {
		total += s.flashBytes()
	}
	if cookies > maxChunks {
		limit = min(limit, m.flash.full())
	}
	if total > limit {
		return &SizeError{Size: total, Limit: limit, Keys: s.largest()}
	}
	return nil
}

// warnOfLargeResponse tells once per process what breaks first: stock nginx answers 502 to a response whose header
// passes 4 kB.
func (m *Manager) warnOfLargeResponse(n int) {
	if n > 3072 {
		largeResponse.Do(func() {
			m.config.Logger.Warn("cookiesession: a response sets more than 3,072 bytes of cookies, which nginx refuses unless configured: proxy_buffer_size 16k; proxy_busy_buffers_size 24k", "bytes", n)
		})
	}
}

var largeResponse sync.Once

// importDeletion returns the Set-Cookie line that deletes another library's cookie.
func (m *Manager) importDeletion(name string) string {
	return string(m.attributes.append([]byte(name+"="), deleteCookie))
}

// deleteImported deletes those of the other library's cookies that came.
func (m *Manager) deleteImported(b *buffer, s *Session) {
	for _, name := range m.config.ImportCookies {
		for suffix := range ownCookies(s.cookies, name) {
			if suffix == "" {
				b.lines.buf = append(b.lines.buf, m.importDeletion(name)...)
				b.lines.endLine()
				break
			}
		}
	}
}

// A buffer holds what one Save builds. Its plaintext is overwritten by sealing, or cleared before another Save gets it.
type buffer struct {
	session, flash, lease []byte
	lines                 lineWriter
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// release clears the buffer and gives it back, unless it has grown large.
func (b *buffer) release() {
	clear(b.session)
	clear(b.flash)
	clear(b.lease)
	const keep = 64 << 10
	if cap(b.session) > keep || cap(b.flash) > keep || cap(b.lines.buf) > keep {
		return
	}
	b.session, b.flash, b.lease = b.session[:0], b.flash[:0], b.lease[:0]
	b.lines.reset()
	buffers.Put(b)
}

// roomFor returns buf with room for a token's header, into which a payload is encoded and then sealed in place.
func roomFor(buf []byte) []byte {
	return append(buf[:0], make([]byte, payloadStart)...)
}

// seconds rounds up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
