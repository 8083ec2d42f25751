// Package cookiesessiontest helps to test handlers that use
// [github.com/seed-50e21e88/cookiesession]. It is for users' own tests and has
// no place in a server.
//
//   - [NewJar] returns a cookie jar as strict as a browser, for a
//     [net/http.Client] or by itself. It refuses what a browser would refuse, so
//     that a cookie that is too long or lacks an attribute fails in the test.
//   - [Request] and [RequestWith] return requests that carry a sealed session, as
//     if an earlier response had set it.
//   - [Session] reads the session that a response set.
package cookiesessiontest
