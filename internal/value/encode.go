package value

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// other appends a value of any other type, as msgpack/v5 encodes it, in canonical form.
func (e *encoder) other(dst []byte, v any, depth int) ([]byte, error) {
	rv := reflect.ValueOf(v)
	why := outward.shapeOf(rv.Type()).refused
	if why == "" {
		why = e.walk(rv, depth)
	}
	if why == "" && !timesIntact() {
		why = timesTaken
	}
	if why != "" {
		return nil, unstorable(rv.Type(), why, nil)
	}
	raw, err := encode(rv)
	if err != nil {
		return nil, unstorable(rv.Type(), "encoding it failed", err)
	}
	dst, n, err := canonical(dst, raw, depth, false)
	if err == nil && n != len(raw) {
		err = errMore
	}
	if err != nil {
		why = reason("it encodes to a " + strings.TrimPrefix(err.Error(), "cookiesession: "))
		return nil, unstorable(rv.Type(), why, err)
	}
	return dst, nil
}

// encode returns what msgpack/v5 makes of v.
func encode(v reflect.Value) (raw []byte, err error) {
	defer recovered(&err)
	// Methods with a pointer receiver are only found on a value that has an address.
	addressable := reflect.New(v.Type()).Elem()
	addressable.Set(v)
	var buf bytes.Buffer
	// A new encoder, since a pooled one keeps the flags that other code gave it.
	err = msgpack.NewEncoder(&buf).EncodeValue(addressable)
	return buf.Bytes(), err
}

// recovered turns a panic of msgpack/v5, or of a method of the user's, into *err. Call it deferred.
func recovered(err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = p
	default:
		*err = fmt.Errorf("panic: %v", p)
	}
}

// timesIntact tells whether time.Time is still extension -1 for msgpack/v5. Its registry of extensions is global, and
// where another package has registered that number for a type of its own, times would be encoded in another form.
func timesIntact() bool {
	var buf bytes.Buffer
	err := msgpack.NewEncoder(&buf).EncodeValue(reflect.ValueOf(time.Time{}))
	_, _, n, ok := readTime(buf.Bytes())
	return err == nil && ok && n == buf.Len()
}

// walk tells why v can't be encoded, following it as msgpack/v5 will. A cycle in a map makes that library overflow the
// stack, which no recover survives; so the depth and the whole are bounded before it sees v.
func (e *encoder) walk(v reflect.Value, depth int) reason {
	t, kind, length := v.Type(), v.Kind(), 0
	text := kind == reflect.String || (kind == reflect.Slice || kind == reflect.Array) && t.Elem().Kind() == reflect.Uint8
	if text {
		length = v.Len()
	}
	if !e.spend(length) {
		return tooMuch
	}
	if text || outward.opaque(t) {
		return ""
	}
	switch kind {
	case reflect.Interface, reflect.Pointer, reflect.Slice, reflect.Map:
		if v.IsNil() {
			return ""
		}
	}
	switch kind {
	case reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		if depth >= MaxDepth {
			return tooDeep
		}
	}
	switch kind {
	case reflect.Pointer:
		return e.walk(v.Elem(), depth)
	case reflect.Interface:
		if s := outward.shapeOf(v.Elem().Type()); s.refused != "" {
			return s.refused
		}
		return e.walk(v.Elem(), depth)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if why := e.walk(v.Index(i), depth+1); why != "" {
				return why
			}
		}
	case reflect.Map:
		for pairs := v.MapRange(); pairs.Next(); {
			if !e.spend(pairs.Key().Len()) {
				return tooMuch
			}
			if why := e.walk(pairs.Value(), depth+1); why != "" {
				return why
			}
		}
	case reflect.Struct:
		return e.walkFields(v, depth+1)
	case reflect.Chan, reflect.Func, reflect.Uintptr, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return reason("it holds a " + t.String())
	}
	return ""
}

// walkFields is walk for the fields of struct v, embedded ones included. depth is that of the map which they become.
func (e *encoder) walkFields(v reflect.Value, depth int) reason {
	for _, f := range outward.fieldsOf(v.Type()) {
		inner, why := v.Field(f.index), reason("")
		if f.embedded && reflect.Indirect(inner).IsValid() {
			why = e.walkFields(reflect.Indirect(inner), depth)
		} else {
			why = e.walk(inner, depth)
		}
		if why != "" {
			return why
		}
	}
	return ""
}
