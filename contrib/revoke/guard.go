package revoke

import (
	"context"
	"errors"
	"net/http"

	"github.com/seed-50e21e88/cookiesession"
)

// passed is the context key of a List's word that the request came while it wasn't stale.
type passed struct{ *List }

// Guard goes outside m.Handler, whose Config.Revoked must be [List.Revoked] or ask it. While the list is older than
// Config.MaxStale it answers 503, with Retry-After, to requests that bring a session of m which is valid as far as that
// can be told, before anything can overwrite it. Visitors without one are served. Whoever was let in stays so for the
// whole request.
func (l *List) Guard(m *cookiesession.Manager, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.stale() {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passed{l}, true)))
			return
		}
		if _, err := r.Cookie(m.CookieName()); err == nil {
			if _, err := m.Load(r); errors.Is(err, ErrStale) {
				w.Header().Set("Cache-Control", "no-store")
				w.Header().Set("Retry-After", "5")
				http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
