package cookiesession

import (
	"log/slog"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"
)

// remarks are what is to be logged of a Save, once the session's lock is released: the logger is the application's
// code, and may use the session.
type remarks struct {
	bytes         int   // of the Set-Cookie lines written
	leaseErr      error // why the lease could not be written
	unchecked     bool  // nothing was saved, because a hook had failed
	withheld      bool  // a new session was not saved
	clearsCookies bool  // Destroy and Clear-Site-Data in one response
}

// status returns the response status for a request whose session could not be saved.
func (r *remarks) status() int {
	if r.unchecked {
		return http.StatusServiceUnavailable // the hook may succeed in a moment
	}
	return http.StatusInternalServerError
}

// logged remembers which warnings have been logged, so that one that every response causes doesn't fill the log.
type logged struct {
	large, withheld, clearsCookies, foreignHost atomic.Bool
	registration, renewal, skipped              atomic.Bool  // of devices
	hookAt                                      atomic.Int64 // when a hook's failure was last logged, in Unix seconds
}

// mayLogHook allows a hook's failure to be logged once a second.
func (l *logged) mayLogHook(now time.Time) bool {
	last := l.hookAt.Load()
	return now.Unix() != last && l.hookAt.CompareAndSwap(last, now.Unix())
}

// first sets done, and reports whether it was the first to do so.
func first(done *atomic.Bool) bool { return !done.Load() && done.CompareAndSwap(false, true) }

// logRemarks logs a Save's remarks.
func (m *Manager) logRemarks(s *Session, notes *remarks) {
	log := m.config.Logger
	if notes.leaseErr != nil {
		log.Error("cookiesession: lease not written", "error", notes.leaseErr)
	}
	if notes.bytes > 3072 && first(&m.logged.large) {
		log.Warn("cookiesession: a response sets more than 3,072 bytes of cookies, which nginx refuses unless configured: proxy_buffer_size 16k; proxy_busy_buffers_size 24k", "bytes", notes.bytes)
	}
	if notes.withheld && first(&m.logged.withheld) {
		log.Warn("cookiesession: another site's request came without the session's cookies, so no session was started for it; put values, or call CSRFToken, in responses to this site's requests only, or call Regenerate where somebody logs in",
			"method", s.request.Method, "path", pathOf(s.request))
	}
	if notes.clearsCookies && first(&m.logged.clearsCookies) {
		log.Warn(`cookiesession: a response with Destroy has Clear-Site-Data: "cookies", which drops the marker that keeps the session ended; send "cache", "storage" instead`)
	}
	if domain := m.config.Domain; notes.bytes > 0 && domain != "" && !withinDomain(s.request.Host, domain) && first(&m.logged.foreignHost) {
		log.Warn("cookiesession: browsers drop the session's cookies, unless a proxy changes the request's Host: it is not within Config.Domain", "host", s.request.Host, "domain", domain)
	}
}

// withinDomain reports whether a host, with or without a port, may set cookies for domain (RFC 6265, 5.1.3).
func withinDomain(host, domain string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host, domain = strings.ToLower(host), strings.ToLower(domain)
	return host == "" || host == domain || strings.HasSuffix(host, "."+domain)
}

// clearsCookies reports whether the response makes the browser drop all cookies, also those that it sets (Clear Site
// Data, 3.1).
func clearsCookies(h http.Header) bool {
	for _, line := range h["Clear-Site-Data"] {
		for kind := range strings.SplitSeq(line, ",") {
			if kind = textproto.TrimString(kind); kind == `"cookies"` || kind == `"*"` {
				return true
			}
		}
	}
	return false
}

// reportAll reports what happened while s was opened. It runs after the opening and without a lock: the logger and
// OnReject are the application's code, and may use the session.
func (m *Manager) reportAll(s *Session, refusals []*RejectError, importErr error) {
	if importErr != nil && m.logged.mayLogHook(m.now()) {
		m.config.Logger.Error("cookiesession: Import failed, so the visitor is anonymous for this request", "error", importErr)
	}
	for _, refused := range refusals {
		m.report(s, refused)
	}
}

// report counts a refusal, logs it and calls OnReject.
func (m *Manager) report(s *Session, err *RejectError) {
	m.counters.rejected[err.Reason].Add(1)
	if err.Reason == ReasonRevoked && err.Err != nil {
		if m.logged.mayLogHook(m.now()) {
			m.config.Logger.Error("cookiesession: Revoked failed, so the visitor is anonymous for this request", "error", err.Err)
		}
	} else {
		level := slog.LevelInfo
		if err.Reason == ReasonExpired || err.Reason == ReasonIdle || err.Reason == ReasonEnded {
			level = slog.LevelDebug // everyday ends of a session
		}
		m.config.Logger.Log(s.request.Context(), level, "cookiesession: cookie refused", "cookie", err.Cookie, "reason", err.Reason.String(), "key", err.KeyLabel)
	}
	if m.config.OnReject != nil {
		m.config.OnReject(s.forHook(), err)
	}
}
