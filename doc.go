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
// and in a handler
//
//	s := sessions.Get(r)
//	s.Put("user", "grace")
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
// # What it doesn't promise
//
// When two responses both change a session, the one that reaches the browser last wins, as with every session that is
// kept in a cookie. Values that must not collide can live in a second [Manager] with another Name. Likewise for flash
// messages: if one request reads them while another adds one, what was read can be shown once more, or the addition be
// lost, as the last response has it.
//
// A copied cookie works until it expires: Destroy ends the session in its own browser only. Keep Lifetime short, and
// where a server must be able to say no, say it in Config.Revoked.
//
// A response that arrives more than ten minutes after the logout can bring the session back, if the marker has been
// cleaned up by then, which needs a newer valid session in the same browser.
//
// Flash messages can be replayed by a browser that kept the cookie until they expire, so no authority belongs in them.
//
// # Threats
//
// Who doesn't have a key can neither read a session nor make or change one; this includes the visitor. Cookies are
// HttpOnly, Secure and SameSite=Lax, and browsers that enforce the name's __Host- prefix keep other hosts of the domain
// from setting them.
// Each token names its key and is opened with that key only; purpose, scope and cookie name go into the derivation of
// keys, so a token opens nowhere else. All times are sealed and enforced by the server. A visitor's bytes never cause
// a panic, never allocate more than a few times what they take, and never change what the response says beyond making
// the visitor anonymous. SECURITY.md has the whole threat model, FORMAT.md the format.
//
// # Compatibility
//
// Cookies of wire format version 1 will be opened by every release of major version 1. A change that old servers
// couldn't read would come with a new version byte and a release that reads both before one that writes it.
package cookiesession
