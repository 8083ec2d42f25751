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
// session cookie. So a slow page view can't undo what another request has saved meanwhile, and can't bring back a
// session that has been logged out. See the example "Reading".
//
// Logout sticks. [Session.Destroy] leaves a marker for the ended session in the browser. Every server then refuses that
// session, and those that Regenerate made from it, even if a response that was under way for less than ten minutes sets
// its cookies again. See the example "Logout".
//
// Rotation is one file and no outage. Keys have activation and retirement times: every server switches by itself, at
// the same time by its own clock, and a key opens cookies as soon as the server knows it. If the keys reach every
// server before they activate, and clocks differ by less than a minute, no order of restarts and no late page loses a
// session. See the example "Rotation" and [Keyring].
//
// Values stay encoded until asked for. A request that doesn't touch its session costs two allocations, reading a key
// decodes only that key, and a session has changed exactly if its bytes differ. See the example "Values".
//
// Another site can't touch a session. Browsers withhold the session's cookies from most requests that another site
// starts, so such a request says nothing about the visitor. Its response starts no session, even if the page puts or
// imports values or draws a CSRF token: a new session would replace the one that the browser has. Calling
// [Session.Regenerate] or [Session.Remember] there means that somebody logs in, so the session is saved. Requests of
// browsers that don't send Sec-Fetch-Site can't be recognized. See the example "AnotherSite".
//
// # What it doesn't promise
//
// When several responses change one session at the same time, the one that reaches the browser last wins, as with every
// session that is kept in a cookie. If three fetches of one page each put a value, only one of the three is there
// afterwards, and neither the handlers nor the log learn of it. Values that must not collide can live in a second
// [Manager] with another Name, if only one kind of request writes them (example "ParallelWrites"); values that many
// requests write at once belong in a database. The same holds for flash messages: if one request reads them while
// another adds one, either those that were read are shown once more or the new one is lost, depending on which response
// is last.
//
// A copied cookie works until it expires: Destroy ends the session in its own browser only. Keep Lifetime short, and
// use [Config].Revoked where a server must be able to end sessions: the example "Config (Revoked)" shows "log out
// everywhere".
//
// A response that arrives more than ten minutes after the logout can bring the session back if the marker has been
// cleaned up by then, which only happens when the same browser has a newer valid session. After more than 32 logouts in
// ten minutes the browser keeps only the markers of the latest 32. And Clear-Site-Data: "cookies" in the response to
// the logout, or in a later one, deletes the markers; see [Session.Destroy].
//
// Until they expire, flash messages can be replayed by a browser that has kept the cookie, so they must not grant
// anything.
//
// Unless Config.Persistent is set, a session ends when the browser closes, but browsers that restore their windows at
// the next start restore its cookies too. Only Lifetime and IdleTimeout are enforced.
//
// # Threats
//
// Without a key nobody can read, make or change a session, not even the visitor. By default cookies are HttpOnly,
// Secure and SameSite=Lax, and browsers that enforce the name's __Host- prefix keep other hosts of the domain from
// setting them. Each token names its key and is opened with that key only; purpose, scope and cookie name go into the
// derivation of keys, so a token opens nowhere else. All times are sealed and enforced by the server. A visitor's bytes
// never cause a panic, never make the server allocate more than a few times their own size, and have no effect on the
// response other than making the visitor anonymous. SECURITY.md has the whole threat model, FORMAT.md the format.
//
// # Tests of your own
//
// Package cookiesessiontest makes requests that carry a sealed session, reads what a response has set, and has a cookie
// jar that is as strict as a browser. Most HTTP libraries don't send Secure cookies to http://localhost: use
// httptest.NewTLSServer, or Config.Insecure.
//
// # Compatibility
//
// Cookies of wire format version 1 will be opened by every release of major version 1. A change that older releases
// can't read would get a new version byte, and one release would read both versions before a later one writes the new
// one.
//
// Neither this nor semantic versioning covers what is marked experimental: sessions bound to a device
// (Config.DeviceProof), until their specification is settled.
package cookiesession
