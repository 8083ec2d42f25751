// Package importscs shows how an application that moves from alexedwards/scs takes its visitors' sessions along: copy
// ImportFrom, and keep the old SessionManager, with its store, until its Lifetime is over.
package importscs

import (
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
)

// ImportFrom returns a function for Config.Import. Config.ImportCookies should name old's cookie. What old's store
// holds stays there until it expires. An scs session outlives the browser unless Cookie.Persist is false: Config.Persistent
// and Config.Lifetime say so here.
func ImportFrom(old *scs.SessionManager) func(*http.Request) (map[string]any, error) {
	reader := *old
	reader.Codec = forgiving{old.Codec}
	old = &reader
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

// A forgiving codec finds nothing in what it can't decode. From Load's errors that couldn't be told apart from a store
// that is down, and Import's error means "try later": until the old cookie ends, its visitor could save nothing.
type forgiving struct{ scs.Codec }

func (f forgiving) Decode(b []byte) (deadline time.Time, values map[string]any, err error) {
	if deadline, values, err = f.Codec.Decode(b); err != nil {
		return time.Time{}, nil, nil
	}
	return deadline, values, nil
}
