// Package importscs shows how an application that moves from alexedwards/scs takes its visitors' sessions along: copy
// ImportFrom, and keep the old SessionManager, with its store, until its Lifetime is over.
package importscs

import (
	"net/http"

	"github.com/alexedwards/scs/v2"
)

// ImportFrom returns a function for Config.Import. Config.ImportCookies should name old's cookie. What old's store
// holds stays there until it expires. An scs session outlives the browser unless Cookie.Persist is false: Config.Persistent
// and Config.Lifetime say so here.
func ImportFrom(old *scs.SessionManager) func(*http.Request) (map[string]any, error) {
	return func(r *http.Request) (map[string]any, error) {
		cookie, err := r.Cookie(old.Cookie.Name)
		if err != nil {
			return nil, nil // a new visitor
		}
		ctx, err := old.Load(r.Context(), cookie.Value)
		if err != nil {
			return nil, err // the store is down
		}
		values := make(map[string]any)
		for _, key := range old.Keys(ctx) {
			values[key] = old.Get(ctx, key)
		}
		return values, nil
	}
}
