// Package cookiesession keeps a visitor's session in the visitor's own browser: encoded as msgpack, sealed with
// XChaCha20-Poly1305 under a rotating key ring, split over as many cookies as it needs. A server stores nothing, so any
// server that has the key ring can serve any request.
//
//	keys, err := cookiesession.OpenKeyFile("keys.json")
//	…
//	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys})
//	…
//	http.ListenAndServe(addr, sessions.Handler(mux))
//
// and in a handler, before the first byte of the response
//
//	s := sessions.Get(r)
//	s.Put("user", "grace")
//
// The first example is a whole program; "Login" is a login page.
//
// # How data flows
//
//	Cookie headers → join → open → decode → Session
//	                                           │ handler reads and changes
//	Set-Cookie × n ← split ← seal ← encode ←──┘ before the first final header, only if bytes differ
//
// # What it promises
//
// Reading never writes data. Idle timeouts, key rotation, flash messages and refusals neither write nor delete the
// session cookie. So a slow page view can't undo what another request has saved meanwhile, and can't bring a session
// back that has been logged out. See the example "Reading".
//
// Logout sticks. After [Session.Destroy] the browser carries a marker for the session that was ended, and every
// server refuses that session, and what Regenerate made of it, whatever responses that were under way for less than
// ten minutes set its cookies again. See the example "Logout".
//
// Rotation is one file and no outage. Keys carry activation and retirement times, every server switches by itself at
// the same moment by its clock, and a key opens from the moment it is known. If the keys reach every server before they
// activate, and clocks differ by less than a minute, no order of restarts and no late page loses a session. See the
// example "Rotation" and [Keyring].
//
// Values stay sealed in their bytes until asked for. A request that doesn't touch its session pays for two
// allocations, one that reads a key decodes that key, and a session has changed exactly if its bytes differ. See the
// example "Values".
//
// Another site can't touch a session. Browsers withhold the session's cookies from most requests that another site
// starts, so such a request says nothing about the visitor: its response starts no session, which would replace the
// one that the browser has, whatever the page puts, draws or imports. Calling [Session.Regenerate] or
// [Session.Remember] there says that somebody logs in. Browsers that don't send Sec-Fetch-Site can't be told apart. See
// the example "AnotherSite".
//
// # What it doesn't promise
//
// When several responses change one session at the same time, the one that reaches the browser last wins, as with every
// session that is kept in a cookie. If three fetches of one page each put a value, one of the three is there afterwards,
// and nothing says so: not to the handlers, not to the log. What must not collide can live in a second [Manager] with
// another Name, if one kind of request writes it (example "ParallelWrites"); what many requests write at once belongs
// into a database. Likewise for flash messages: if one request reads them while another adds one, what was read can be
// shown once more, or the addition be lost, as the last response has it.
//
// A copied cookie works until it expires: Destroy ends the session in its own browser only. Keep Lifetime short, and
// where a server must be able to say no, say it in [Config].Revoked, of which the example "Config (Revoked)" makes
// "log out everywhere".
//
// A response that arrives more than ten minutes after the logout can bring the session back, if the marker has been
// cleaned up by then, which needs a newer valid session in the same browser. Of more than 32 logouts in ten minutes the
// browser keeps the markers of the latest 32. And a page that answers the logout, or one after it, with Clear-Site-Data:
// "cookies" deletes the markers; see [Session.Destroy].
//
// Flash messages can be replayed by a browser that kept the cookie until they expire, so no authority belongs in them.
//
// "Ends with the browser", as a session does unless Config.Persistent is set, isn't true of browsers that restore their
// windows at the next start: they restore such cookies too. Only Lifetime and IdleTimeout are enforced.
//
// # Threats
//
// Whoever doesn't have a key can neither read a session nor make or change one; this includes the visitor. Cookies are
// HttpOnly, Secure and SameSite=Lax, and browsers that enforce the name's __Host- prefix keep other hosts of the domain
// from setting them.
// Each token names its key and is opened with that key only; purpose, scope and cookie name go into the derivation of
// keys, so a token opens nowhere else. All times are sealed and enforced by the server. A visitor's bytes never cause
// a panic, never allocate more than a few times what they take, and never change what the response says beyond making
// the visitor anonymous. SECURITY.md has the whole threat model, FORMAT.md the format.
//
// # Tests of your own
//
// Package cookiesessiontest makes requests that carry a sealed session, reads what a response has set, and has a cookie
// jar that is as strict as a browser. Most HTTP libraries don't send Secure cookies to http://localhost: use
// httptest.NewTLSServer, or Config.Insecure.
//
// # Compatibility
//
// Cookies of wire format version 1 will be opened by every release of major version 1. A change that old servers
// couldn't read would come with a new version byte and a release that reads both before one that writes it.
//
// Outside of that, and of semantic versioning, is what is marked experimental: sessions bound to a device
// (Config.DeviceProof), until their specification is settled.
package cookiesession
