package cookiesession

import (
	"errors"
	"hash/maphash"
	"net/http"
	"slices"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
)

// A Manager keeps the sessions that one Config describes. [New] makes one; the zero Manager is of no use. It is safe
// for concurrent use. Two Managers with different Names keep two independent sessions for a visitor, so that a change
// in one can't overwrite the other; to log out, Destroy both.
type Manager struct {
	config     Config
	name       string // of the session cookie, as sent
	attributes attributes
	hint       attributes // of NAME.here
	session    *compartment
	flash      *compartment
	lease      *compartment
	bound      *compartment // device-aware sessions, which use session's cookies
	device     *compartment
	proof      *compartment
	challenge  *sealer
	opened     *openedDevices // nil without DeviceProof
	endpoint   endpoint
	now        func() time.Time
	counters   *counters // not inline, so that writing them doesn't slow down reads of the other fields
	logged     *logged
}

// New returns a Manager, or an error that says what to change in an invalid or inconsistent Config.
func New(c Config) (*Manager, error) {
	c.ImportCookies = slices.Compact(slices.Sorted(slices.Values(c.ImportCookies)))
	c.DeviceHosts = slices.Clone(c.DeviceHosts)
	if err := c.complete(); err != nil {
		return nil, err
	}
	m := &Manager{
		config: c, name: c.cookieName(), now: time.Now, counters: new(counters), logged: new(logged),
		attributes: newAttributes(&c, c.SameSite), hint: newAttributes(&c, http.SameSiteLaxMode),
	}
	m.session = m.newCompartment(purposeSession, cookiename.Session)
	m.flash = m.newCompartment(purposeFlash, cookiename.Flash)
	m.lease = m.newCompartment(purposeLease, cookiename.Lease)
	m.bound = m.newCompartment(purposeBound, cookiename.Session)
	m.session.sealer.bound = m.bound.sealer
	m.device = m.newCompartment(purposeDevice, cookiename.Device)
	m.proof = m.newCompartment(purposeProof, cookiename.Proof)
	m.challenge = newSealer(c.Keys, purposeChallenge, c.Scope, m.name, &m.counters.keys)
	m.endpoint = newEndpoint(&c)
	if c.DeviceProof > 0 {
		m.opened = &openedDevices{seed: maphash.MakeSeed()}
	}
	m.lease.lenient = true
	if err := m.checkSize(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Manager) newCompartment(purpose string, kind cookiename.Kind) *compartment {
	c := &m.config
	return &compartment{
		sealer:     newSealer(c.Keys, purpose, c.Scope, m.name, &m.counters.keys),
		splitter:   newSplitter(m.name+kind.Suffix(), m.attributes.maxLen()),
		kind:       kind,
		attributes: &m.attributes,
	}
}

// CookieName returns the session cookie's name as it is sent, with its prefix.
func (m *Manager) CookieName() string { return m.name }

// Stats returns the counters since New. They are read one by one, so a request in flight may be counted in some only.
func (m *Manager) Stats() Stats { return m.counters.read() }

// Load returns the session of r without any middleware: opened, and never nil. If the session cookie was refused, the
// error is a *RejectError, which wraps Revoked's error if that is the reason. If Import failed or its values can't be
// used, the error says why. Inside Handler, Load returns that Handler's session. To write cookies, call [Manager.Save]
// before the response header is sent.
func (m *Manager) Load(r *http.Request) (*Session, error) {
	inContext := r.Context().Value(m)
	s, ok := inContext.(*Session)
	if !ok {
		if inContext != nil {
			panic("cookiesession: Load called by Import or OnReject for the session that is being opened")
		}
		s = new(Session)
		s.bind(m, r)
	}
	s.open()
	if p := s.state.incoming.problems(); p.refused != nil {
		return s, p.refused
	} else {
		return s, p.importErr
	}
}

// Save writes s into the response header h: Set-Cookie lines if anything changed, which replace those of an earlier
// Save, and in any case the Vary and Cache-Control of a response that depends on the session. It may be called again
// after further changes.
//
// The error is that of [Session.Err]; a [*SizeError]; that of Revoked or Import if s would replace a session that
// couldn't be checked; or says that no key is active. Then Save writes only the cookies by which Destroy ends a session,
// removes those of an earlier Save, and the browser keeps what it has. An s that is nil or another Manager's is also an
// error, and leaves h alone.
func (m *Manager) Save(h http.Header, s *Session) error {
	if s == nil || s.manager != m {
		return errors.New("cookiesession: Save of no session, or of another Manager's")
	}
	s.open()
	s.lockToSave()
	var notes remarks
	err := m.saveByHand(h, s, &notes)
	m.logRemarks(s, &notes)
	return err
}

// saveByHand is Save under the lock, which it releases, also if it panics because h is nil.
func (m *Manager) saveByHand(h http.Header, s *Session, notes *remarks) error {
	defer s.mu.Unlock()
	own, err := m.save(h, s, new(headerFields), notes)
	if own != nil || s.state.special != nil {
		s.special().written = own
	}
	s.delivered = err == nil
	return err
}

// lockToSave locks the session, and reports whether it is open: then with the flash cookies opened that saving it must
// look at.
func (s *Session) lockToSave() (isOpen bool) {
	s.mu.Lock()
	isOpen = s.isOpen.Load()
	if isOpen && s.needsFlash() {
		s.mu.Unlock()
		s.openFlash() // a hook that it calls may panic, or write to the response
		s.mu.Lock()
	}
	return isOpen
}

// open opens the session unless that has been done. Refusals and Import's error are reported after the opening, since
// the logger and OnReject are the application's code and may use the session.
func (s *Session) open() {
	if s.isOpen.Load() {
		return
	}
	refusals, importErr := s.openOnce()
	s.manager.reportAll(s, refusals, importErr)
}

func (s *Session) openOnce() (refusals []*RejectError, importErr error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.isOpen.Load() {
		return nil, nil // opened by another goroutine, which reports
	}
	return s.manager.open(s)
}

// open turns the received cookies into s's state: receive, join, open, decode, and choose the session that is valid. It
// returns the refusals and Import's error, to be reported once the session is open.
func (m *Manager) open(s *Session) (refusals []*RejectError, importErr error) {
	now := m.now()
	var storage [6]receivedCookie // as many as browsers usually send
	r := receive(s.cookies, m.name, storage[:])
	st, token := newState(r.first(cookiename.Session))
	in := &st.incoming
	returned := false
	defer func() { // also if a hook panics: then the visitor has an empty session, as after a hook's error
		if !returned {
			in.setProblems(problems{imports: in.problems().imports, unchecked: errHookPanicked})
		}
		s.setState(now, st)
	}()
	in.session, in.flash, in.lease = r.names[cookiename.Session], r.names[cookiename.Flash], r.names[cookiename.Lease]
	m.noteFacts(s, &r, in)
	if in.flash != 0 {
		st.flash = &flash{cookies: r.only(cookiename.Flash)}
	}

	var found candidates
	refused := m.session.open(s.request.Context(), now, &r, token, &found)
	if found.n > 0 {
		var leaseRefused *RejectError
		refused, leaseRefused = m.choose(s, now, &r, &found, refused, st)
		if leaseRefused != nil {
			refusals = append(refusals, leaseRefused)
		}
	} else if refused == nil && m.config.Import != nil && in.session == 0 && !in.facts.has(marked|withheld) && !s.provesDevice {
		m.importValues(s, now, st)
	}
	if refused != nil {
		p := *in.problems()
		p.refused = refused
		in.setProblems(p)
		refusals = append(refusals, refused)
	}
	returned = true
	return refusals, in.problems().importErr
}

// noteFacts notes which cookies were received beside session, flash and lease, and whether the session's were withheld.
func (m *Manager) noteFacts(s *Session, r *received, in *incoming) {
	if r.names[cookiename.Ended] != 0 {
		in.facts |= marked
	}
	if r.names[cookiename.Here] != 0 {
		in.facts |= hinted
	}
	if r.names[cookiename.Device]|r.names[cookiename.Proof] != 0 {
		in.facts |= devices
	}
	if r.firsts[cookiename.Device] > 1+maxOtherDevices {
		in.facts |= crowded
	}
	if in.session == 0 && m.withholds(s.request, in.facts.has(hinted)) {
		in.facts |= withheld
	}
	var present []string
	for _, name := range m.config.ImportCookies {
		for suffix := range cookiesNamed(s.cookies, name) {
			if suffix == "" {
				present = append(present, name)
				break
			}
		}
	}
	if present != nil {
		in.setProblems(problems{imports: present})
	}
}

// importValues asks Import for the values of a visitor who has no session.
func (m *Manager) importValues(s *Session, now time.Time, st *state) {
	var unchecked error
	found, err := m.config.Import(s.forHook())
	if err != nil {
		unchecked = err // a later request may get values, but not if a new session has been saved
	} else if st.values.changes, err = encodeAll(found); err == nil {
		err = m.checkImport(now, &st.values) // if they are too large, no response to this visitor could be saved
	}
	if err != nil {
		p := *st.incoming.problems()
		p.importErr, p.unchecked = err, unchecked
		st.incoming.setProblems(p)
		st.values.changes = nil
	} else if st.values.changed() {
		st.incoming.facts |= imported
	}
}

// save writes s into h: encode, seal, split. h may keep slices of fields. The caller holds s.mu, so what is to be
// logged is noted, to be logged without it. own are the Set-Cookie lines of s that h now has.
func (m *Manager) save(h http.Header, s *Session, fields *headerFields, notes *remarks) (own []string, err error) {
	if s.nothingToWrite() {
		varyCookie(h, &fields.vary)
		defaultToPrivate(h, &fields.caching)
		return nil, nil
	}
	b := buffers.Get().(*buffer)
	defer b.release()
	now := m.now()
	st := s.state
	p := st.incoming.problems()

	saved := false
	if err = st.err(); err == nil && p.unchecked != nil && !s.destroyed && s.hasContent() {
		err, notes.unchecked = p.unchecked, true // a new session would replace one that may be valid
	}
	if err == nil {
		saved, err = m.writeValues(b, s, now)
	}
	invitation := ""
	if err == nil && saved && st.data.bound {
		invitation, err = m.writeDevice(b, s, now)
	}
	if err != nil {
		saved = false // even if only the flash message failed, after the session's own lines had been written
		b.lines.reset()
		m.counters.saveErrors.Add(1)
	}
	if s.destroyed {
		notes.clearsCookies = clearsCookies(h)
		if !saved {
			m.session.delete(&b.lines, s.deletions())
			m.writeHint(&b.lines, s, deleteCookie)
		}
		m.lease.delete(&b.lines, st.incoming.lease)
	}
	var ended []origin
	if s.destroyed || err == nil {
		ended = s.endedOrigins()
		m.writeMarkers(&b.lines, now, ended)
		logsIn := saved && s.regenerated && st.data.bound
		m.deleteDevices(&b.lines, s, ended, logsIn || st.incoming.facts.has(valid) && st.incoming.facts.has(crowded))
	}
	if s.destroyed || st.incoming.facts.has(imported) && err == nil { // even if no values are left, which would return
		for _, name := range p.imports {
			b.lines.add(name, "", &m.attributes, deleteCookie)
		}
	}
	if err == nil && !saved && s.leaseDue(now) {
		notes.leaseErr = m.writeLease(b, s, now)
	}
	if err == nil && st.incoming.facts.has(marked) {
		m.pruneMarkers(&b.lines, s, now, ended)
	}
	if err == nil && s.hasContent() && s.isWithheld() {
		m.counters.withheld.Add(1)
		notes.withheld = true
	}

	m.invite(h, s, invitation)
	var earlier []string
	if st.special != nil {
		earlier = st.special.written
	}
	if b.lines.empty() && err == nil && !notes.withheld && !st.flash.isSpared() {
		defaultToPrivate(h, &fields.caching)
	} else { // also if another request would have had cookies written: what the page shows is this visitor's alone
		keepPrivate(h, &fields.caching) // before fields are added, since it looks at each
	}
	own = b.lines.putInto(h, &m.attributes, earlier, &fields.lines)
	varyCookie(h, &fields.vary)
	if b.lines.empty() {
		return nil, err
	}
	m.counters.saved.Add(1)
	notes.bytes = len(b.lines.buf)
	return own, err
}

// nothingToWrite reports whether it is clear at once that no cookie must be written: the usual case of a request that
// only reads.
func (s *Session) nothingToWrite() bool {
	st := s.state
	if sp := st.special; sp != nil && (sp.failure.err != nil || sp.written != nil) || s.destroyed || st.incoming.facts.has(marked|imported|crowded) || st.flash.action() != flashKeep || st.flash.isSpared() {
		return false
	}
	if s.isNew() {
		return !s.hasContent() && !s.regenerated
	}
	return !s.dirty() && s.manager.config.IdleTimeout == 0
}

// writeValues writes the session's cookies and the flash cookies, as far as they must change.
func (m *Manager) writeValues(b *buffer, s *Session, now time.Time) (saved bool, err error) {
	saved = s.dirty()
	if saved {
		b.session = s.encode(withHeader(b.session), now.Unix())
	}
	f := s.state.flash
	action := f.action()
	if action == flashWrite {
		b.flash = f.encode(withHeader(b.flash), m.flashExpiry(now))
	}
	if saved || action == flashWrite {
		if err := m.checkTotal(b, s, saved, action); err != nil {
			return false, err
		}
	}
	if saved {
		c := m.session
		if s.state.data.bound {
			c = m.bound
		}
		if err := c.write(&b.lines, now, b.session, s.maxAge(now), s.state.incoming.session); err != nil {
			return false, err
		}
		m.writeHint(&b.lines, s, s.maxAge(now))
	}
	switch {
	case action == flashWrite:
		return saved, m.flash.write(&b.lines, now, b.flash, seconds(m.config.FlashLifetime), s.state.incoming.flash)
	case action == flashDelete, f != nil && f.isOpened && !f.isValid && (saved || s.destroyed):
		m.flash.delete(&b.lines, s.state.incoming.flash)
	}
	return saved, nil
}

// writeHint sets or deletes NAME.here, which browsers send with a navigation from another site although they withhold
// the session's cookies, which are SameSite=Strict.
func (m *Manager) writeHint(l *lines, s *Session, maxAge int64) {
	if m.config.SameSite != http.SameSiteStrictMode {
		return
	}
	name := m.name + cookiename.Here.Suffix()
	if maxAge != deleteCookie {
		l.add(name, "1", &m.hint, maxAge)
	} else if s.state.incoming.facts.has(hinted | withheld) {
		l.add(name, "", &m.hint, maxAge)
	}
}

// needsFlash reports whether the flash cookies must be opened though nobody asked for them: a response that saves or
// destroys the session deletes flash cookies that are refused, and doesn't count their size.
func (s *Session) needsFlash() bool {
	f := s.state.flash
	return f != nil && !f.isOpened && !s.committed && (s.destroyed || s.dirty())
}
