package revoke

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// The kinds of what can be revoked, beside values of Config.Keys.
const (
	kindAll     = "all"
	kindSession = "session"
	kindValue   = "value:" // and the session's key
)

var keyOfAll = digest(kindAll, nil)

// digest returns the key of a kind, which holds no NUL, and a value.
func digest(kind string, value []byte) (k Key) {
	var storage [96]byte
	b := append(storage[:0], kind...)
	b = append(b, 0)
	sum := sha256.Sum256(append(b, value...))
	copy(k[:], sum[:])
	return k
}

// keyOfSession returns the key of a session by its ID, of which the first half stays across Regenerate.
func keyOfSession(id string) Key { return digest(kindSession, []byte(id[:16])) }

// keyOfValue returns the key of a value that Session.Get returned, and false for one that can't be compared: nil, a list
// or a map. Text is text, whether it was put as a string or as bytes, and numbers compare by their value.
func keyOfValue(name string, v any) (Key, bool) {
	var storage [64]byte
	b := storage[:0]
	switch v := v.(type) {
	case string:
		b = append(append(b, 's'), v...)
	case []byte:
		b = append(append(b, 's'), v...)
	case int64:
		b = strconv.AppendInt(append(b, 'i'), v, 10)
	case uint64:
		b = strconv.AppendUint(append(b, 'i'), v, 10)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 { // an ID that came through JSON
			b = strconv.AppendInt(append(b, 'i'), int64(v), 10)
		} else {
			b = strconv.AppendFloat(append(b, 'f'), v, 'g', -1, 64)
		}
	case bool:
		b = strconv.AppendBool(append(b, 'b'), v)
	case time.Time:
		b = v.UTC().AppendFormat(append(b, 't'), time.RFC3339Nano)
	default:
		return Key{}, false
	}
	return digest(kindValue+name, b), true
}

// held returns v as a session holds it: by its own rules, or a UUID or an integer with a String method would be another
// value here than there, and end nobody.
func held(v any) (any, error) {
	s, err := scratch().Load(new(http.Request))
	if err != nil {
		return nil, err
	}
	s.Put("value", v)
	return s.Get("value"), s.Err()
}

// scratch returns a Manager whose sessions go nowhere.
var scratch = sync.OnceValue(func() *cookiesession.Manager {
	keys, err := cookiesession.NewKeyring(cookiesession.GenerateKey("scratch"))
	if err != nil {
		panic("revoke: internal error: " + err.Error())
	}
	m, err := cookiesession.New(cookiesession.Config{Keys: keys, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic("revoke: internal error: " + err.Error())
	}
	return m
})

// keyOf returns the key of a value that the application gives.
func (l *List) keyOf(name string, value any) (Key, error) {
	known := false
	for _, key := range l.config.Keys {
		known = known || key == name
	}
	if !known {
		return Key{}, fmt.Errorf("revoke: %.40q is none of Config.Keys, so no session could be ended by it", name)
	}
	v, err := held(value)
	if err != nil {
		return Key{}, fmt.Errorf("revoke: value of %.40q: %w", name, err)
	}
	key, ok := keyOfValue(name, v)
	if !ok {
		return Key{}, fmt.Errorf("revoke: value of %.40q can't be compared: it is nil, a list or a map", name)
	}
	return key, nil
}
