package cookiesession

import "net/http"

// A request that another site starts says nothing about the visitor where the browser withholds the session's cookies from
// it. Its response must not replace a session that the browser hasn't shown.

// withholds reports whether another site started the request in a way in which browsers withhold the session's cookies
// (RFC 6265bis, 5.2; Fetch Metadata): then that none was received says nothing about the visitor. Browsers that don't
// say who started a request get the benefit of the doubt. Under SameSite=Strict cookies are withheld from navigations
// too, of which most bring new visitors; there the hint cookie tells whether there is a session.
func (m *Manager) withholds(r *http.Request, hinted bool) bool {
	if m.config.SameSite == http.SameSiteNoneMode || r.Header.Get("Sec-Fetch-Site") != "cross-site" {
		return false
	}
	navigation := (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "iframe", "frame", "fencedframe", "embed", "object":
		navigation = false // not of the whole page
	}
	return !navigation || hinted && m.config.SameSite == http.SameSiteStrictMode
}

// isWithheld reports whether a new session must not be saved, because it would replace one that the browser hasn't
// shown. Where somebody logs in there is a reason to.
func (s *Session) isWithheld() bool { return s.state.arrived.facts.has(withheld) && !s.loggedIn }
