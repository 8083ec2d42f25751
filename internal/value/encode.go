package value

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// other appends a value of a type that append doesn't know.
func (e *encoder) other(dst []byte, v any, depth int) ([]byte, error) {
	rv := reflect.ValueOf(v)
	if kind := rv.Kind(); kind == reflect.Struct || kind == reflect.Array || infoOf(rv.Type()).codesSelf {
		addressable := reflect.New(rv.Type()).Elem()
		addressable.Set(rv)
		rv = addressable
	}
	return e.reflected(dst, rv, depth)
}

// reflected appends v. Structs, arrays and values with coding methods must be addressable.
func (e *encoder) reflected(dst []byte, v reflect.Value, depth int) (out []byte, err error) {
	t := infoOf(v.Type())
	switch {
	case t.codesSelf:
		out, err = e.codingSelf(dst, v, t, depth)
	case t.refused != "":
		err = t.refused
	default:
		out, err = e.byKind(dst, v, t, depth)
	}
	if e.lenient && err != nil && err != tooMuch {
		return append(dst, 0xc0), nil
	}
	return out, err
}

// byKind appends v by its kind, whether or not its type has coding methods.
func (e *encoder) byKind(dst []byte, v reflect.Value, t *typeInfo, depth int) ([]byte, error) {
	kind := v.Kind()
	if kind == reflect.String {
		return e.text(dst, v.String())
	} else if kind == reflect.Slice && !v.IsNil() || kind == reflect.Array {
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return e.bytes(dst, v.Bytes())
		}
	}
	if !e.spend(0) {
		return nil, tooMuch
	}
	switch {
	case kind == reflect.Bool:
		return appendBool(dst, v.Bool()), nil
	case v.CanInt():
		return AppendInt(dst, v.Int()), nil
	case v.CanUint() && kind != reflect.Uintptr:
		return AppendUint(dst, v.Uint()), nil
	case kind == reflect.Float32:
		return appendFloat32(dst, float32(v.Float())), nil
	case kind == reflect.Float64:
		return appendFloat64(dst, v.Float()), nil
	case kind == reflect.Array:
		return e.list(dst, v, depth)
	case v.Type() == timeType:
		return e.time(dst, *v.Addr().Interface().(*time.Time)), nil
	case kind == reflect.Struct:
		return e.fields(dst, v, t, depth)
	case kind != reflect.Slice && kind != reflect.Map && kind != reflect.Pointer && kind != reflect.Interface:
		return nil, reason("it holds a " + v.Type().String())
	case v.IsNil():
		return append(dst, 0xc0), nil
	case kind == reflect.Slice:
		return e.list(dst, v, depth)
	case kind == reflect.Map:
		return e.pairs(dst, v, depth)
	case kind == reflect.Pointer:
		out, err := e.reflected(dst, v.Elem(), depth)
		if err == nil && IsNil(out[len(dst):]) {
			err = reason("it holds a " + v.Type().String() + " to nil, which would come back as nil")
		}
		return out, err
	}
	// Of what Decode returns, only a time has methods.
	if inner := v.Elem().Type(); v.Type().NumMethod() > 0 && inner != timeType {
		return nil, reason("it holds a " + inner.String() + " as " + v.Type().String() + ", which can't be read back")
	}
	return e.append(dst, v.Interface(), depth)
}

func (e *encoder) list(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
	if depth >= MaxDepth {
		return nil, tooDeep
	}
	dst = AppendArrayHeader(dst, v.Len())
	for i := range v.Len() {
		if i >= v.Len() { // an element's method may have changed the list
			return nil, changing
		}
		if dst, err = e.reflected(dst, v.Index(i), depth+1); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (e *encoder) pairs(dst []byte, v reflect.Value, depth int) (_ []byte, err error) {
	if depth >= MaxDepth {
		return nil, tooDeep
	} else if v.Len() > e.budget {
		return nil, tooMuch
	}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	dst = AppendMapHeader(dst, len(keys))
	element := reflect.New(v.Type().Elem()).Elem() // addressable
	for _, key := range keys {
		if dst, err = e.text(dst, key.String()); err != nil {
			return nil, err
		}
		value := v.MapIndex(key)
		if !value.IsValid() {
			return nil, changing
		}
		element.Set(value)
		if dst, err = e.reflected(dst, element, depth+1); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (e *encoder) fields(dst []byte, v reflect.Value, t *typeInfo, depth int) (_ []byte, err error) {
	if depth >= MaxDepth {
		return nil, tooDeep
	}
	dst = slices.Grow(dst, 24*len(t.fields)) // a guess, to save growing step by step
	count := 0
	for i := range t.fields {
		if t.fields[i].written(v) {
			count++
		}
	}
	if t.asList {
		dst = AppendArrayHeader(dst, count)
	} else {
		dst = AppendMapHeader(dst, count)
	}
	for i := range t.fields {
		f := &t.fields[i]
		if !f.written(v) {
			continue
		}
		count--
		if !t.asList {
			if dst, err = e.text(dst, f.name); err != nil {
				return nil, err
			}
		}
		inner, _ := f.in(v, false)
		if dst, err = e.reflected(dst, inner, depth+1); err != nil {
			return nil, err
		}
	}
	if count != 0 { // a field's method may have changed the others
		return nil, changing
	}
	return dst, nil
}
