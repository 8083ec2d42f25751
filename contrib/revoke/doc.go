// Package revoke ends sessions of [cookiesession] on all servers, though each keeps its sessions in cookies: those of a
// user, all but one, a single session, a device, an OpenID Connect sid, or everybody's. Requests ask memory only. Every
// server keeps a replica of what has been revoked, fed by an [Engine] that all share: Redis (package redis), PostgreSQL
// (package postgres), a [File], or [Memory].
//
//	list, err := revoke.Open(ctx, revoke.Config{Engine: engine, Keys: []string{"user"}, MaxLifetime: 24 * time.Hour})
//	…
//	sessions, err := cookiesession.New(cookiesession.Config{Keys: keys, Revoked: list.Revoked})
//	…
//	http.ListenAndServe(addr, list.Guard(sessions, sessions.Handler(mux)))
//
// and at login
//
//	login := list.Begin() // before the password is checked
//	…
//	s.Regenerate()
//	s.Put("user", name)
//	login.Keep(s)
//
// # How it works
//
// An [Entry] says that sessions which began before it are over. The engine gives it a position; a session keeps the
// position that its server knew when the login began, in a value of some twenty bytes for each of Config.Keys, and is
// over once a greater one is known. Clocks and Regenerate don't matter. Sessions without that value, from before the
// module or of a login that lacks [Login.Keep], are compared by CreatedAt, to the second. Entries go by themselves when
// every session that they could concern has expired. No revocation can be undone, but a user can log in again. That
// doesn't help with a value of Config.NeverReused, such as an OpenID Connect sid: a session that begins with an ended
// one, up to Config.MaxLifetime after the end, is over.
//
// # What it promises
//
//   - Revoked, and so a request, sends nothing to the engine.
//   - What was acknowledged reaches every server that can reach the engine, whatever connections and restarts come
//     between, as long as the engine keeps what it acknowledges.
//   - Stats().Staleness is true: on the same condition, everything that was acknowledged longer ago is known.
//   - Once the list is older than Config.MaxStale no session is let in, unless ServeStale is set. Nothing is deleted:
//     sessions are back when the engine is.
//   - If the engine loses something that a running server had read or published, it is put back.
//   - A login that began before a revocation is over, except for the session that EndOthers spares.
//
// # What it doesn't promise
//
//   - What an engine acknowledged and lost before any other server read it, if the server that published it ends before
//     it has put it back. Redis can lose it in a failover, a file if somebody replaces it. If it is put back, a session
//     that EndOthers has spared meanwhile stays spared.
//   - End on an engine that has lost entries and whose clock has gone back, as when Redis fails over to a machine whose
//     clock is behind. A server that doesn't know the lost entries may be given a position below those that sessions
//     keep, and then these go on. That is over when another server has put the entries back, seconds later, or, if none
//     knows them, when the clock is past where it was; then call End again.
//   - Anything on the minority side of a split Redis whose master still answers: set min-replicas-to-write, then it
//     isn't followed.
//   - Revocations of the last MaxStale on a server that is cut off, and anything about requests that are past the hook.
//   - Sessions that Config.Import makes of another library's cookie: keep that library's list as long.
//   - A list of "my sessions": that is a table of the application's, and EndSession takes its IDs.
package revoke
