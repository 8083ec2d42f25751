package cookiesession

import "net/http"

// If the browser withholds the session's cookies from a request because another site started it, the request says
// nothing about the visitor. Its response must not replace a session that the browser has but didn't send.

// withholds reports whether browsers withhold the session's cookies from the request because of the way in which
// another site started it (RFC 6265bis, 5.2; Fetch Metadata). Browsers that don't say who started a request get the
// benefit of the doubt. Under SameSite=Strict cookies are withheld from navigations too. Most of those are new
// visitors', so there the hint cookie tells whether the browser has a session.
func (m *Manager) withholds(r *http.Request, hinted bool) bool {
	if m.config.SameSite == http.SameSiteNoneMode || r.Header.Get("Sec-Fetch-Site") != "cross-site" {
		return false
	}
	navigation := (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "iframe", "frame", "fencedframe", "embed", "object":
		navigation = false // of a part of the page only
	}
	return !navigation || hinted && m.config.SameSite == http.SameSiteStrictMode
}

// isWithheld reports whether a new session must not be saved, because it could replace one that the browser has but
// didn't send. A login replaces it on purpose.
func (s *Session) isWithheld() bool { return s.state.incoming.facts.has(withheld) && !s.loggedIn }
