package cookiesession

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-50e21e88/cookiesession/internal/cookiename"
	"github.com/seed-50e21e88/cookiesession/internal/dbscjwt"
)

// The header fields of Device Bound Session Credentials except the invitation, in canonical form.
const (
	identifierHeader = "Sec-Secure-Session-Id"
	responseHeader   = "Secure-Session-Response"
	challengeHeader  = "Secure-Session-Challenge"
	skippedHeader    = "Secure-Session-Skipped"
)

// DeviceHandler returns the handler for browsers that register a device's key or renew a proof. Programs that use Load
// and Save must serve it at Config.DevicePath, and may strip a prefix, since it doesn't look at the path; Handler
// answers there by itself. While a device's proof is missing, Handler also answers instead of the application. With
// Load the visitor is anonymous then, and what Save writes replaces the bound session: save nothing if the Reason of
// [Session.Rejected] is [ReasonUnproven]. Experimental, as Config.DeviceProof is.
func (m *Manager) DeviceHandler() http.Handler { return http.HandlerFunc(m.serveDevice) }

// isForDevice reports whether the request is for the device endpoint, so that Handler answers it. A path from which a
// prefix was stripped matches, too, since browsers give up a key at a 404. If DeviceProof is switched off, only
// browsers that still hold a key are answered.
func (m *Manager) isForDevice(r *http.Request) bool {
	path := pathOf(r)
	return strings.HasSuffix(m.endpoint.path, path) && strings.HasSuffix(path, m.endpoint.end) &&
		(m.config.DeviceProof > 0 || r.Header[identifierHeader] != nil)
}

// A deviceRequest is a browser's request to register a key or to renew a proof, and the answer to it. Browsers give up
// a key for good at any 4xx but 403, and when they are told not to continue; so they are told that only if the session
// is over or the key is refused. Other failures are answered by 403 with another challenge to sign, or by 503.
type deviceRequest struct {
	m   *Manager
	w   http.ResponseWriter
	s   *Session
	now time.Time

	identifier    string // the browser's name for its session, or ""
	hasIdentifier bool
	proof         string // the JWT; "" without one

	id      sessionID // the session's; zero if its cookies are withheld, until the challenge tells
	maxAge  int64     // of its cookies
	binding binding
}

// serveDevice answers a deviceRequest. It opens the session by every rule except that the device must be proven. It
// writes device cookies only, since the request doesn't count as use of the session.
func (m *Manager) serveDevice(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	forbidStoring(h)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.Method != http.MethodPost {
		h.Set("Allow", http.MethodPost)
		answerText(w, http.StatusMethodNotAllowed, "POST only")
		return
	}
	q := deviceRequest{m: m, w: w, s: &Session{provesDevice: true}, now: m.now()}
	q.s.bind(m, r)
	if fields := r.Header[identifierHeader]; fields != nil {
		q.identifier, q.hasIdentifier = itemOf(fields[0]), true
	}
	q.proof = itemOf(r.Header.Get(responseHeader))
	q.s.open()
	q.answer()
}

func (q *deviceRequest) answer() {
	st := q.s.state
	q.id, q.maxAge = st.data.id, q.s.maxAge(q.now)
	switch p := st.incoming.problems(); {
	case p.unchecked != nil || p.refused != nil && p.refused.Reason.mayPass():
		q.tryLater()
		return
	case q.isWithheld():
		q.maxAge = seconds(max(q.m.config.Lifetime, q.m.config.MaxRemember)) // as long as the session may last
		q.register()
		return
	case !st.data.bound: // as every session that isn't valid
		q.end()
		return
	case q.m.config.DeviceProof == 0: // another server may have it switched on
		q.tryLater()
		return
	}
	received := receive(q.s.cookies, q.m.name, nil)
	q.binding = q.m.binding(q.s, q.now, &received, q.id)
	b := &q.binding
	switch {
	case !b.hasKey && !b.hasPermit && b.refused.mayPass():
		q.tryLater()
	case !q.hasIdentifier:
		q.register()
	case q.identifier == "": // no browser sends that
		q.retry()
	case q.identifier != q.tag() || !b.hasKey:
		q.end()
	default:
		q.refresh()
	}
}

// isWithheld reports whether a browser registers a key without the session's cookies. If another site started the
// request that logged in, as when a visitor comes back from an identity provider, browsers withhold SameSite=Lax cookies
// from the registration, too, but store those of its answer. The challenge then stands for session and permit: it was
// sealed for the response that wrote both, and is in no cookie. Where the session's other cookies came, none is
// withheld, so the session is over.
func (q *deviceRequest) isWithheld() bool {
	in := &q.s.state.incoming
	return q.m.config.DeviceProof > 0 && !q.hasIdentifier && q.proof != "" && in.session == 0 && !in.facts.has(devices|marked)
}

// tag returns the session's identifier.
func (q *deviceRequest) tag() string { return q.id.origin().Tag() }

// register replaces the permit with the browser's new key. If that fails, the permit stays, and the session stays
// valid.
func (q *deviceRequest) register() {
	key, why := q.acceptKey()
	if why != "" {
		q.warnOnce(&q.m.logged.registration, "a browser could not register a key for its device, so its session isn't bound", why)
		q.end()
		return
	}
	d := device{id: q.id, created: q.now.Unix(), key: key}
	q.grant(&d, true, &q.m.counters.device.registered)
}

// acceptKey returns the browser's new key, or why it isn't accepted. The signature is verified last, since that takes
// the longest, and anybody can send one.
func (q *deviceRequest) acceptKey() (key dbscjwt.Key, why string) {
	withheld := q.isWithheld()
	switch {
	case q.binding.hasKey:
		return key, "there is a key already"
	case !q.binding.hasPermit && !withheld:
		return key, "the session has no permit"
	}
	p, err := dbscjwt.Parse(q.proof)
	if err != nil {
		return key, err.Error()
	}
	id, why := q.m.openChallenge(q.s, q.now, p.Challenge, toRegister, registerWithin)
	switch {
	case why != "":
		return key, why
	case withheld:
		q.id = id
	case id != q.id:
		return key, "the challenge is another session's"
	}
	if key, err = p.Register(); err != nil {
		return key, err.Error()
	}
	return key, ""
}

// refresh renews the proof.
func (q *deviceRequest) refresh() {
	if q.proof == "" {
		q.retry()
		return
	}
	const what = "a browser could not renew the proof of its device"
	p, err := dbscjwt.Parse(q.proof)
	if err != nil {
		q.warnOnce(&q.m.logged.renewal, what, err.Error())
		q.end()
		return
	}
	id, why := q.m.openChallenge(q.s, q.now, p.Challenge, toRefresh, q.m.config.DeviceProof+refreshLate)
	if why == "" && id.origin() != q.id.origin() { // the session may have regenerated since
		why = "the challenge is another session's"
	}
	if why != "" {
		q.warnOnce(&q.m.logged.renewal, what, why)
		q.retry()
		return
	}
	if err := p.Refresh(q.binding.key.key); err != nil {
		q.warnOnce(&q.m.logged.renewal, what, err.Error())
		q.end()
		return
	}
	reseal := q.m.device.retiresBy(q.binding.keyLabel, q.s.state.data.expires) && q.binding.keyLabel != q.m.device.sealing(q.now)
	q.grant(&q.binding.key, reseal, &q.m.counters.device.refreshed)
}

// grant writes a proof by the device's key, and the device cookie if writesDevice, and tells the browser how to go on.
func (q *deviceRequest) grant(d *device, writesDevice bool, counter *atomic.Uint64) {
	m, of := q.m, d.id.origin()
	b := buffers.Get().(*buffer)
	defer b.release()
	if writesDevice {
		b.device = appendDevice(withHeader(b.device), d)
		if m.device.writeFor(&b.lines, q.now, b.device, q.maxAge, of) != nil {
			q.tryLater()
			return
		}
	}
	p := proof{of, hashKey(&d.key), q.now.Add(m.config.DeviceProof + proofSlack).Unix()}
	b.device = appendProof(withHeader(b.device), &p)
	if m.proof.writeFor(&b.lines, q.now, b.device, seconds(m.config.DeviceProof), of) != nil || !q.challenge() {
		q.tryLater()
		return
	}
	counter.Add(1)
	b.lines.putInto(q.w.Header(), &m.attributes, nil, new([1]string))
	q.write(instructions{
		Identifier:  of.Tag(),
		RefreshURL:  m.config.DevicePath,
		Credentials: []credential{{"cookie", m.name + cookiename.Proof.Suffix() + "." + of.Tag(), strings.TrimPrefix(m.attributes.before+m.attributes.after, "; ")}},
		Initiators:  append([]string{}, m.config.DeviceHosts...), // never null
	})
}

// Instructions are the JSON that tells a browser how to go on (Device Bound Session Credentials, "JSON Session
// Instruction Format"). The scope is this host.
type instructions struct {
	Identifier string `json:"session_identifier"`
	RefreshURL string `json:"refresh_url"`
	Scope      struct {
		IncludeSite bool `json:"include_site"`
	} `json:"scope"`
	Credentials []credential `json:"credentials"`
	Initiators  []string     `json:"allowed_refresh_initiators"`
}

// An ending is the JSON that tells a browser not to go on.
type ending struct {
	Identifier string `json:"session_identifier"`
	Continue   bool   `json:"continue"` // false
}

// A credential names the cookie whose expiry makes the browser renew the proof.
type credential struct {
	Type       string `json:"type"`
	Name       string `json:"name"`
	Attributes string `json:"attributes"`
}

func (q *deviceRequest) write(answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		panic("cookiesession: internal error: " + err.Error())
	}
	q.w.Header().Set("Content-Type", "application/json")
	q.w.Write(body)
}

// challenge puts a fresh challenge into the answer's header, and returns false if none can be sealed.
func (q *deviceRequest) challenge() bool {
	text, err := q.m.sealChallenge(q.now, challenge{toRefresh, q.id, q.now.Unix()})
	if err != nil {
		return false
	}
	q.w.Header().Set(challengeHeader, `"`+text+`";id="`+q.tag()+`"`)
	return true
}

// end tells the browser to forget the key, or not to register one.
func (q *deviceRequest) end() {
	identifier := q.identifier
	if identifier == "" && q.s.state.incoming.facts.has(valid) {
		identifier = q.tag()
	}
	q.m.counters.device.ended.Add(1)
	q.write(ending{Identifier: identifier})
}

// retry makes the browser sign a fresh challenge.
func (q *deviceRequest) retry() {
	if !q.challenge() {
		q.tryLater()
		return
	}
	q.m.counters.device.retried.Add(1)
	answerText(q.w, http.StatusForbidden, "sign the challenge")
}

// tryLater makes the browser keep the key and ask again.
func (q *deviceRequest) tryLater() {
	answerText(q.w, http.StatusServiceUnavailable, "try again later")
}

func (q *deviceRequest) warnOnce(done *atomic.Bool, what, why string) {
	if first(done) {
		q.m.config.Logger.Warn("cookiesession: "+what, "why", why)
	}
}

func answerText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n")
}

// itemOf returns the string of a structured field's item (RFC 9651, 4.2.3), without its parameters. Browsers also send
// it without quotes.
func itemOf(field string) string {
	field = textproto.TrimString(field)
	if quoted, ok := strings.CutPrefix(field, `"`); ok { // no expected value has a character that needs a backslash
		text, rest, closed := strings.Cut(quoted, `"`)
		if rest = textproto.TrimString(rest); !closed || rest != "" && rest[0] != ';' {
			return field
		}
		return text
	}
	item, _, _ := strings.Cut(field, ";")
	return textproto.TrimString(item)
}

// answerUnproven answers instead of the application if the session was refused only because its device's proof has
// expired, and the browser may be able to renew it: an application that takes the visitor for anonymous could overwrite
// the bound session with a new one. It returns false if the application shall answer. It opens the session of few
// requests only.
func (m *Manager) answerUnproven(w http.ResponseWriter, s *Session) bool {
	r := s.request
	skipped := r.Header[skippedHeader]
	fromElsewhere := r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		slices.Contains([]string{"cross-site", "same-site"}, r.Header.Get("Sec-Fetch-Site"))
	if skipped == nil && !fromElsewhere {
		return false
	}
	s.open()
	p := s.state.incoming.problems()
	if !p.lacksProof {
		return false
	}
	if why, ok := skippedFor(skipped, p.keyOf.Tag()); ok {
		if first(&m.logged.skipped) {
			m.config.Logger.Warn("cookiesession: a browser could not renew the proof of its device, and says why", "why", why)
		}
		w.Header().Set("Retry-After", "3")
		w.Header().Set("Refresh", "3")
		forbidStoring(w.Header())
		answerText(w, http.StatusServiceUnavailable, "This browser could not renew its session. It tries again in a moment.")
		return true
	}
	if !fromElsewhere {
		return false
	}
	h := w.Header()
	forbidStoring(h)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", onceMorePolicy)
	h.Set("Refresh", "1")
	io.WriteString(w, onceMorePage)
	return true
}

// The page for a visitor who follows a link from another site, for which the browser renewed no proof. It repeats the
// request from this site, for which the browser renews one. Navigating to its own URL would be a reload, which still
// counts as the other site's request, or do nothing if the URL has a fragment: so the page changes its URL first, only
// the query, since a path that begins with // would be read as a host (RFC 3986, 4.2). Without scripts the Refresh
// header repeats the request, except for URLs with a fragment.
const (
	onceMoreScript = `const here = location.href; history.replaceState(null, "", "?renewing=" + Date.now()); location.replace(here)`
	onceMorePage   = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>One moment</title>\n<script>" + onceMoreScript + "</script>\n"
)

// onceMorePolicy replaces a policy that was set outside and might not let the script run.
var onceMorePolicy = func() string {
	hash := sha256.Sum256([]byte(onceMoreScript))
	return "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
}()

// skippedFor returns the browser's reason for not having renewed the proof of the session whose identifier is tag.
func skippedFor(fields []string, tag string) (why string, ok bool) {
	for _, field := range fields {
		for member := range strings.SplitSeq(field, ",") {
			if reason, parameters, _ := strings.Cut(member, ";"); strings.Contains(parameters, tag) {
				reason = textproto.TrimString(reason)
				if len(reason) > 32 || strings.Trim(reason, "abcdefghijklmnopqrstuvwxyz_") != "" {
					reason = ""
				}
				return cmp.Or(reason, "unknown"), true
			}
		}
	}
	return "", false
}
