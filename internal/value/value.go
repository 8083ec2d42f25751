// Package value turns Go values into canonical msgpack and back.
//
// Equal values have equal bytes: integers, lengths and timestamps are written in their shortest form, floats keep their
// width and have one NaN, and every map has string keys in strictly ascending byte order, whatever its Go type. A
// time.Time is the timestamp extension, type -1. Strings may hold any bytes.
//
// Structs are maps, by the rules of github.com/vmihailenco/msgpack/v5 and its field tags. Types with methods for
// encoding or decoding themselves (that library's, or MarshalBinary, MarshalText and their reverses) go through it; it
// never gets a value that would crash it, and its output is checked before use.
//
// A value is read back equal or isn't stored: see Append.
//
// All functions are safe for concurrent use. Specification: https://github.com/msgpack/msgpack/blob/master/spec.md
package value

import "reflect"

// MaxDepth is the number of lists and maps that may be nested in each other, the outermost included.
const MaxDepth = 32

// kind is a family of msgpack codes. A value of one family never turns into one of another.
type kind uint8

const (
	kindUnknown kind = iota
	kindNil
	kindBool
	kindInt
	kindFloat
	kindString
	kindBytes
	kindTime
	kindList
	kindMap
)

// String names k for people.
func (k kind) String() string {
	return [...]string{"unknown", "nil", "bool", "int", "float", "string", "bytes", "time", "list", "map"}[k]
}

// kindOf returns the family of the value at the start of b. All extensions count as times: readTime refuses others.
func kindOf(b []byte) kind {
	if len(b) == 0 {
		return kindUnknown
	}
	switch c := b[0]; {
	case c < 0x80, c >= 0xe0, c >= 0xcc && c <= 0xd3:
		return kindInt
	case c < 0x90, c == 0xde, c == 0xdf:
		return kindMap
	case c < 0xa0, c == 0xdc, c == 0xdd:
		return kindList
	case c < 0xc0, c >= 0xd9:
		return kindString
	case c == 0xc0:
		return kindNil
	case c == 0xc2, c == 0xc3:
		return kindBool
	case c >= 0xc4 && c <= 0xc6:
		return kindBytes
	case c == 0xca, c == 0xcb:
		return kindFloat
	case c == 0xc1:
		return kindUnknown
	}
	return kindTime
}

// IsNil reports whether the value at the start of b is nil.
func IsNil(b []byte) bool { return kindOf(b) == kindNil }

// reason says in a few words why a value can't be stored, or doesn't fit.
type reason string

func (r reason) Error() string { return "cookiesession: internal error: " + string(r) }

const (
	tooDeep     reason = "it is nested too deeply, or cyclic"
	tooMuch     reason = "it is too large, or cyclic"
	changing    reason = "it changes while it is encoded"
	otherType   reason = "it is of another type"
	outOfRange  reason = "it is out of range"
	otherLength reason = "it has another length"
)

// valueError is a value that can't be stored, or doesn't fit. Its text names types and never content; an error that a
// user's method returned may quote content, so it is reachable by Unwrap alone.
type valueError struct {
	text  string
	cause error
}

func (e *valueError) Error() string { return e.text }
func (e *valueError) Unwrap() error { return e.cause }

// unstorable is the error for values of type t.
func unstorable(t reflect.Type, why reason, cause error) error {
	return &valueError{"cookiesession: a value of type " + t.String() + " can't be stored: " + string(why), cause}
}

// misfit is a stored value, or a part of one, that doesn't fit.
type misfit struct {
	b     []byte       // starts with the value
	typ   reflect.Type // the type that it should become
	why   reason
	cause error
}

// in returns the error for decoding the value at the start of b, of which m is a part, into one of type t.
func (m *misfit) in(b []byte, t reflect.Type) error {
	text := "cookiesession: the stored " + kindOf(b).String() + " doesn't fit " + t.String() + ": "
	if len(m.b) < len(b) {
		text += "the " + kindOf(m.b).String() + " in it doesn't fit " + m.typ.String() + ": "
	}
	return &valueError{text + string(m.why), m.cause}
}
