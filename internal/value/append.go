package value

import (
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"slices"
	"time"
)

// maxCost bounds the work and memory that one value may take, so that a few pointers shared many times over, or a
// cycle, can't unfold without end. A node costs 1, and 128 bytes of text cost 1 more: 131,072 nodes, or 16 MiB of text.
const maxCost = 1 << 17

var errNoList = errors.New("cookiesession: the stored value is not a list")

// Append appends the canonical encoding of v to dst: a snapshot that shares no memory with v. depth is that of the
// container that holds the value, 0 for none.
//
// DecodeInto turns what Append accepts back into an equal value of the same type, except for interfaces and times, as
// DecodeInto says; unexported fields and fields with the tag "-" aren't stored. It refuses cycles, lists and maps
// (structs too) nested deeper than MaxDepth, more than 131,072 nodes or 16 MiB of text, maps whose keys aren't strings,
// channels, functions and complex numbers, pointers to nil, interfaces with methods unless they hold a time, structs
// none of whose fields would be stored, and values whose methods for encoding lose a part of them. A panic in such a
// method is an error. On an error dst is returned unchanged, and the error's text names types, never content.
func Append(dst []byte, v any, depth int) ([]byte, error) {
	e := encoder{budget: maxCost}
	out, err := e.append(dst, v, depth)
	if why, ok := err.(reason); ok {
		err = unstorable(reflect.TypeOf(v), why, nil)
	}
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendElement appends to dst the encoded list with v as its new last element. depth is that of the container that
// holds the list, 0 for none. dst must not overlap list. On an error dst is returned unchanged.
func AppendElement(dst, list []byte, v any, depth int) ([]byte, error) {
	count, n, ok := ReadArrayHeader(list)
	if !ok {
		return dst, errNoList
	}
	out := AppendArrayHeader(dst, count+1)
	out = append(out, list[n:]...)
	out, err := Append(out, v, depth+1)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendUint appends v as an integer.
func AppendUint(dst []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
}

// AppendInt appends v as an integer.
func AppendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return AppendUint(dst, uint64(v))
	case v >= -32:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
}

// AppendBin appends data as a byte string.
func AppendBin(dst, data []byte) []byte {
	if n := len(data); n <= math.MaxUint8 {
		dst = append(dst, 0xc4, byte(n))
	} else {
		dst = appendLength(dst, 0xc5, n)
	}
	return append(dst, data...)
}

// AppendString appends s as a string.
func AppendString[S string | []byte](dst []byte, s S) []byte {
	switch n := len(s); {
	case n < 32:
		dst = append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, 0xd9, byte(n))
	default:
		dst = appendLength(dst, 0xda, n)
	}
	return append(dst, s...)
}

// AppendArrayHeader appends the header of a list; count elements must follow.
func AppendArrayHeader(dst []byte, count int) []byte {
	if count < 16 {
		return append(dst, 0x90|byte(count))
	}
	return appendLength(dst, 0xdc, count)
}

// AppendMapHeader appends the header of a map; count pairs must follow, in ascending order of their keys.
func AppendMapHeader(dst []byte, count int) []byte {
	if count < 16 {
		return append(dst, 0x80|byte(count))
	}
	return appendLength(dst, 0xde, count)
}

// appendLength appends code and a 16-bit length, or the code after it and a 32-bit length.
func appendLength(dst []byte, code byte, n int) []byte {
	if n <= math.MaxUint16 {
		return binary.BigEndian.AppendUint16(append(dst, code), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, code+1), uint32(n))
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// appendFloat32 appends v. All NaNs get the same bits, which otherwise depend on the processor that made them.
func appendFloat32(dst []byte, v float32) []byte {
	bits := math.Float32bits(v)
	if v != v {
		bits = 0x7fc00000
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xca), bits)
}

// appendFloat64 is appendFloat32 for a float64.
func appendFloat64(dst []byte, v float64) []byte {
	bits := math.Float64bits(v)
	if v != v {
		bits = 0x7ff8000000000000
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), bits)
}

// appendTime appends a timestamp in the shortest of its three forms.
func appendTime(dst []byte, sec int64, nsec uint32) []byte {
	switch {
	case nsec == 0 && sec>>32 == 0:
		return binary.BigEndian.AppendUint32(append(dst, 0xd6, 0xff), uint32(sec))
	case sec>>34 == 0:
		return binary.BigEndian.AppendUint64(append(dst, 0xd7, 0xff), uint64(nsec)<<34|uint64(sec))
	}
	return appendWideTime(dst, sec, nsec)
}

// appendWideTime appends a timestamp in its 12-byte form.
func appendWideTime(dst []byte, sec int64, nsec uint32) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, 0xc7, 12, 0xff), nsec)
	return binary.BigEndian.AppendUint64(dst, uint64(sec))
}

// encoder appends one value, with all that is nested in it.
type encoder struct {
	budget    int  // what is left of maxCost
	wideTimes bool // write timestamps in their 12-byte form
	lenient   bool // write nil for what can't be stored; includes unchecked
	unchecked bool // don't check that values with coding methods can be read back
}

// spend takes the cost of a node with a text of n bytes from the budget and reports whether there was enough.
func (e *encoder) spend(n int) bool {
	e.budget -= 1 + n>>7
	return e.budget >= 0
}

// append appends v, without reflection if its type is one that sessions usually hold.
func (e *encoder) append(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return e.text(dst, v)
	case []byte:
		return e.bytes(dst, v)
	}
	if !e.spend(0) {
		return nil, tooMuch
	}
	switch v := v.(type) {
	case nil:
		return append(dst, 0xc0), nil
	case bool:
		return appendBool(dst, v), nil
	case int:
		return AppendInt(dst, int64(v)), nil
	case int64:
		return AppendInt(dst, v), nil
	case float64:
		return appendFloat64(dst, v), nil
	case time.Time:
		return e.time(dst, v), nil
	case []string:
		return appendList(e, dst, v, depth)
	case []any:
		return appendList(e, dst, v, depth)
	case map[string]string:
		return appendMap(e, dst, v, depth)
	case map[string]any:
		return appendMap(e, dst, v, depth)
	}
	return e.other(dst, v, depth)
}

func (e *encoder) text(dst []byte, s string) ([]byte, error) {
	if !e.spend(len(s)) {
		return nil, tooMuch
	}
	return AppendString(dst, s), nil
}

func (e *encoder) bytes(dst, data []byte) ([]byte, error) {
	if !e.spend(len(data)) {
		return nil, tooMuch
	}
	if data == nil {
		return append(dst, 0xc0), nil
	}
	return AppendBin(dst, data), nil
}

func (e *encoder) time(dst []byte, at time.Time) []byte {
	if e.wideTimes {
		return appendWideTime(dst, at.Unix(), uint32(at.Nanosecond()))
	}
	return appendTime(dst, at.Unix(), uint32(at.Nanosecond()))
}

// element appends v, a string or any value, without allocating an interface for a string.
func element[V any](e *encoder, dst []byte, v V, depth int) ([]byte, error) {
	if s, ok := any(v).(string); ok {
		return e.text(dst, s)
	}
	return e.append(dst, any(v), depth)
}

func appendList[V any](e *encoder, dst []byte, list []V, depth int) (_ []byte, err error) {
	if list == nil {
		return append(dst, 0xc0), nil
	} else if depth >= MaxDepth {
		return nil, tooDeep
	}
	dst = AppendArrayHeader(dst, len(list))
	for _, v := range list {
		if dst, err = element(e, dst, v, depth+1); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func appendMap[V any](e *encoder, dst []byte, m map[string]V, depth int) (_ []byte, err error) {
	if m == nil {
		return append(dst, 0xc0), nil
	} else if depth >= MaxDepth {
		return nil, tooDeep
	} else if len(m) > e.budget { // checked before keys are sorted
		return nil, tooMuch
	}
	var few [16]string
	keys := few[:0]
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = AppendMapHeader(dst, len(m))
	for _, key := range keys {
		if dst, err = e.text(dst, key); err != nil {
			return nil, err
		}
		if dst, err = element(e, dst, m[key], depth+1); err != nil {
			return nil, err
		}
	}
	return dst, nil
}
