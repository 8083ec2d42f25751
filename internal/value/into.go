package value

import (
	"bytes"
	"math"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// DecodeInto decodes the value at the start of b into *into, which shares no memory with b. Skip must have accepted b.
//
// Only a value of the same kind fits: integers into integer types, floats into floats, strings into strings, byte
// strings into []byte and byte arrays, lists into slices and into arrays of that length, maps into maps and structs,
// timestamps into time.Time; nil into pointers, slices, maps and interfaces alone. A number must fit exactly: 300 into
// int8 is an error. Struct fields that aren't stored stay zero, stored ones that the struct doesn't have are ignored. A
// type that decodes itself must encode itself to what it was decoded from. What lands in an interface has Decode's
// types, and times are in UTC.
//
// On an error *into is the zero value, and the error's text names the stored kind and T, never the content.
func DecodeInto[T any](b []byte, into *T) error {
	var zero T
	var cause error
	*into = zero
	why := otherType
	switch p := any(into).(type) {
	case *any:
		*p, why = Decode(b), ""
	case *string:
		if s, _, ok := ReadString(b); ok {
			*p, why = string(s), ""
		}
	case *[]byte:
		why = decodeAs(b, p)
	case *[]any:
		why = decodeAs(b, p)
	case *map[string]any:
		why = decodeAs(b, p)
	case *bool:
		if kindOf(b) == kindBool {
			*p, why = b[0] == 0xc3, ""
		}
	case *int:
		why = decodeInt(b, p)
	case *int8:
		why = decodeInt(b, p)
	case *int16:
		why = decodeInt(b, p)
	case *int32:
		why = decodeInt(b, p)
	case *int64:
		why = decodeInt(b, p)
	case *time.Duration:
		why = decodeInt(b, p)
	case *uint:
		why = decodeInt(b, p)
	case *uint8:
		why = decodeInt(b, p)
	case *uint16:
		why = decodeInt(b, p)
	case *uint32:
		why = decodeInt(b, p)
	case *uint64:
		why = decodeInt(b, p)
	case *float32:
		why = decodeFloat32(b, p)
	case *float64:
		if f, _, ok := readFloat(b); ok {
			*p, why = f, ""
		}
	case *time.Time:
		if sec, nsec, _, ok := readTime(b); ok {
			*p, why = time.Unix(sec, int64(nsec)).UTC(), ""
		}
	case *[]string:
		why = decodeStrings(b, p)
	default:
		// A pointer of its own, so that into itself never needs to be on the heap.
		var v reflect.Value
		if v, why, cause = decodeOther(b, reflect.TypeFor[T]()); why == "" {
			*into = *v.Interface().(*T)
		}
	}
	if why != "" {
		*into = zero
		return misfit(kindOf(b), reflect.TypeFor[T](), why, cause)
	}
	return nil
}

// decodeAs decodes the types that Decode returns and that can be nil.
func decodeAs[T []byte | []any | map[string]any](b []byte, into *T) reason {
	v := Decode(b)
	var ok bool
	if *into, ok = v.(T); !ok && v != nil {
		return otherType
	}
	return ""
}

func decodeInt[I int | int8 | int16 | int32 | int64 | time.Duration | uint | uint8 | uint16 | uint32 | uint64](b []byte, into *I) reason {
	v, negative, _, ok := readInt(b)
	if !ok {
		return otherType
	}
	if *into = I(v); uint64(*into) != v || *into < 0 != negative {
		return outOfRange
	}
	return ""
}

func decodeFloat32(b []byte, into *float32) reason {
	f, _, ok := readFloat(b)
	if !ok {
		return otherType
	}
	if *into = float32(f); float64(*into) != f && !math.IsNaN(f) {
		return outOfRange
	}
	return ""
}

func decodeStrings(b []byte, into *[]string) reason {
	if kindOf(b) == kindNil {
		return ""
	}
	count, n, ok := ReadArrayHeader(b)
	if !ok {
		return otherType
	}
	list := make([]string, count)
	for i := range list {
		s, size, ok := ReadString(b[n:])
		if !ok {
			return changed
		}
		list[i] = string(s)
		n += size
	}
	*into = list
	return ""
}

// decodeOther returns a pointer to a new value of type t that msgpack/v5 has decoded from b. That library converts and
// truncates without a word; so what came out is encoded again and held against b.
func decodeOther(b []byte, t reflect.Type) (into reflect.Value, why reason, cause error) {
	s := inward.shapeOf(t)
	if s.refused != "" {
		return into, s.refused, nil
	}
	// Where msgpack/v5 looks for a map and finds an extension, it skips a header and takes what follows for the number
	// of pairs to allocate. The 12-byte form of timestamps has a byte there that is no map's code.
	wide, _, err := canonical(nil, b, 0, true)
	if err != nil {
		return into, otherType, err
	}
	into = reflect.New(t)
	if err := decodeForeign(wide, into.Elem(), s.loose); err != nil {
		return into, changed, err
	}
	again, err := Append(nil, into.Elem().Interface(), 0)
	if err != nil {
		return into, changed, err
	}
	if again, _, err = canonical(nil, again, 0, true); err != nil || !compare(wide, again) {
		return into, changed, err
	}
	return into, "", nil
}

// decodeForeign decodes b into v, which holds times or interfaces if it is loose.
func decodeForeign(b []byte, v reflect.Value, loose bool) (err error) {
	defer recovered(&err)
	if err := msgpack.NewDecoder(bytes.NewReader(b)).DecodeValue(v); err != nil {
		return err
	}
	if loose {
		settle(v)
	}
	return nil
}
