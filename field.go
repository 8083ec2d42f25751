package cookiesession

import (
	"fmt"
	"reflect"

	"github.com/seed-50e21e88/cookiesession/internal/value"
)

// A Field is the key of a value of type T, so that reads need no type assertion:
//
//	const views = cookiesession.Field[int]("views")
//
// T may be any type that [Session.Put] takes. A struct may gain and lose fields while sessions live: what a stored value
// lacks is zero, and what T lacks is ignored. If T is an interface type with methods, only a time.Time or nil can be
// stored: nothing else could be read back.
type Field[T any] string

// Get returns the value, or T's zero value if there is none or it doesn't fit T.
func (f Field[T]) Get(s *Session) T {
	v, _ := f.Lookup(s)
	return v
}

// Or returns the value, or def if there is none or it doesn't fit T.
func (f Field[T]) Or(s *Session, def T) T {
	v, err := f.Lookup(s)
	if err != nil {
		return def
	}
	return v
}

// Lookup returns the value. The error is [ErrNoValue] if there is none, and otherwise says why it doesn't fit T: 300
// doesn't fit an int8, and no string fits an int.
func (f Field[T]) Lookup(s *Session) (T, error) { return f.decode(s.encoded(string(f))) }

func (f Field[T]) decode(encoded []byte) (T, error) {
	var v T
	if encoded == nil {
		return v, ErrNoValue
	}
	if err := value.DecodeInto(encoded, &v); err != nil {
		return v, fmt.Errorf("cookiesession: value of %.40q: %w", string(f), unprefixed{err})
	}
	return v, nil
}

// typed returns v or, if T is an interface with methods, a pointer to it: v itself would be stored as its dynamic type,
// and Put would not notice that this can't be read back as a T.
func (Field[T]) typed(v T) any {
	if t := reflect.TypeFor[T](); t.Kind() == reflect.Interface && t.NumMethod() > 0 && any(v) != nil {
		p := new(T)
		*p = v
		return p
	}
	return v
}

// Put stores a copy of v, as [Session.Put] does.
func (f Field[T]) Put(s *Session, v T) { s.Put(string(f), f.typed(v)) }

// Update replaces the value with the result of fn and returns that. fn gets T's zero value if there is none or it
// doesn't fit T. If the key's value changes while fn runs, fn runs again with the new one. So fn must not change this
// key itself; apart from that, it may use the session.
func (f Field[T]) Update(s *Session, fn func(T) T) T {
	for {
		old := s.encoded(string(f))
		v, _ := f.decode(old)
		v = fn(v)
		encoded, err := encodePair(string(f), f.typed(v))
		if s.swap(string(f), old, encoded, err) {
			return v
		}
	}
}

// Pull returns the value, as Get does, and deletes it.
func (f Field[T]) Pull(s *Session) T {
	v, _ := f.decode(s.pull(string(f)))
	return v
}

// Has reports whether there is a value, of whatever type.
func (f Field[T]) Has(s *Session) bool { return s.Has(string(f)) }

// Delete deletes the value.
func (f Field[T]) Delete(s *Session) { s.Delete(string(f)) }

// Flash stores v for the next request that reads flash messages, as [Session.Flash] does.
func (f Field[T]) Flash(s *Session, v T) { s.Flash(string(f), f.typed(v)) }

// FlashNow stores v as a flash message of this request only.
func (f Field[T]) FlashNow(s *Session, v T) { s.FlashNow(string(f), f.typed(v)) }

// Flashed returns the flash message, or T's zero value, and consumes all that were received, as [Session.Flashed] does.
func (f Field[T]) Flashed(s *Session) T {
	v, _ := f.decode(s.flashed(string(f)))
	return v
}
