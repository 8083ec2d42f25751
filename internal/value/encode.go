package value

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"
)

// panicked is a panic of msgpack/v5 or of a method of the user's as an error.
func panicked(p any) error {
	if err, ok := p.(error); ok {
		return err
	}
	return fmt.Errorf("panic: %v", p)
}

// other appends a value of any other type, as msgpack/v5 encodes it, in canonical form.
func (e *encoder) other(dst []byte, v any, depth int) ([]byte, error) {
	rv := reflect.ValueOf(v)
	why := outward.shapeOf(rv.Type()).refused
	if why == "" {
		why = e.walk(rv, depth, 0)
	}
	if why != "" {
		return nil, &storeError{typ: rv.Type(), why: why}
	}
	raw, err := encode(rv)
	if err != nil {
		return nil, &storeError{typ: rv.Type(), why: "encoding it failed", cause: err}
	}
	dst, n, err := canonical(dst, raw, depth, false)
	switch {
	case err != nil:
		return nil, &storeError{typ: rv.Type(), why: "what it encodes itself to can't be read back", cause: err}
	case n != len(raw):
		return nil, &storeError{typ: rv.Type(), why: "it encodes itself to more than one value"}
	}
	return dst, nil
}

// encode returns what msgpack/v5 makes of v. A panic in it, or in a method of the user's, is an error.
func encode(v reflect.Value) (raw []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	// Methods with a pointer receiver need a value that has an address.
	addressable := reflect.New(v.Type()).Elem()
	addressable.Set(v)
	var buf bytes.Buffer
	// A new encoder: the pooled ones keep the settings that other code gave them.
	if err := msgpack.NewEncoder(&buf).EncodeValue(addressable); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// walk tells why v can't be encoded, following it as msgpack/v5 will. A cycle in a map makes that library overflow the
// stack, which no recover survives; so depth, pointers and the whole are bounded before it sees v. pointers counts those
// that led to v since the last list, map or struct.
func (e *encoder) walk(v reflect.Value, depth, pointers int) reason {
	if !e.spend(0) {
		return tooMuch
	}
	if outward.opaque(v.Type()) {
		return ""
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		switch {
		case v.IsNil():
			return ""
		case pointers == maxPointers:
			return tooDeep
		case v.Kind() == reflect.Interface:
			if s := outward.shapeOf(v.Elem().Type()); s.refused != "" {
				return s.refused
			}
		}
		return e.walk(v.Elem(), depth, pointers+1)
	case reflect.String:
		return e.walkText(v)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return e.walkText(v)
		}
		if depth >= MaxDepth && (v.Kind() == reflect.Array || !v.IsNil()) {
			return tooDeep
		}
		for i := range v.Len() {
			if why := e.walk(v.Index(i), depth+1, 0); why != "" {
				return why
			}
		}
	case reflect.Map:
		if depth >= MaxDepth && !v.IsNil() {
			return tooDeep
		}
		for pairs := v.MapRange(); pairs.Next(); {
			if why := e.walkText(pairs.Key()); why != "" {
				return why
			}
			if why := e.walk(pairs.Value(), depth+1, 0); why != "" {
				return why
			}
		}
	case reflect.Struct:
		if depth >= MaxDepth {
			return tooDeep
		}
		return e.walkFields(v, depth+1)
	case reflect.Chan, reflect.Func, reflect.Uintptr, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return reason("it holds a " + v.Type().String())
	}
	return ""
}

// walkText pays for a string or byte string.
func (e *encoder) walkText(v reflect.Value) reason {
	if !e.spend(v.Len()) {
		return tooMuch
	}
	return ""
}

// walkFields is walk for the fields of struct v, embedded ones included. depth is that of the map which they become.
func (e *encoder) walkFields(v reflect.Value, depth int) reason {
	for _, f := range outward.fieldsOf(v.Type()) {
		inner := v.Field(f.index)
		if f.embedded {
			for inner.Kind() == reflect.Pointer && !inner.IsNil() {
				inner = inner.Elem()
			}
		}
		why := reason("")
		if f.embedded && inner.Kind() == reflect.Struct {
			why = e.walkFields(inner, depth)
		} else {
			why = e.walk(inner, depth, 0)
		}
		if why != "" {
			return why
		}
	}
	return ""
}
