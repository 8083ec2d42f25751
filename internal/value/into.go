package value

import (
	"math"
	"reflect"
	"time"
)

// DecodeInto decodes the value at the start of b into *into, which shares no memory with b. Skip must have accepted b.
//
// Only a value of the same kind fits: integers into integer types, floats into floats, strings into strings, byte
// strings into []byte and byte arrays, lists into slices and into arrays of that length, maps into maps and structs,
// timestamps into time.Time; nil into pointers, slices, maps and interfaces alone. A number must fit exactly: 300 into
// int8 is an error. Struct fields that aren't stored stay zero, stored ones that the struct doesn't have are ignored. A
// value that was decoded by methods of its type must encode to what it was decoded from. Interfaces get the types of
// Decode, and times are in UTC.
//
// On an error *into is the zero value. The error's text says whether the value, or which kind of value in it, is of
// another type, out of range or of another length; it names stored kinds and Go types, never content.
func DecodeInto[T any](b []byte, into *T) error {
	*into = *new(T)
	switch p := any(into).(type) {
	case *any:
		*p = Decode(b)
		return nil
	case *string: // this and the next two by the shortest way, since most reads are of these types
		if s, _, ok := ReadString(b); ok {
			*p = string(s)
			return nil
		}
	case *int:
		if i, negative, _, ok := readInt(b); ok && int64(i) < 0 == negative && int64(int(i)) == int64(i) {
			*p = int(i)
			return nil
		}
	case *time.Time:
		if sec, nsec, _, ok := readTime(b); ok {
			*p = time.Unix(sec, int64(nsec)).UTC()
			return nil
		}
	}
	typ := reflect.TypeFor[T]()
	if !infoOf(typ).codesSelf {
		if n, _ := decodeScalar(b, reflect.ValueOf(into).Elem()); n > 0 {
			return nil
		}
	}
	p := new(T) // so that into itself never needs to be on the heap
	if _, err := decodeReflected(b, reflect.ValueOf(p).Elem()); err != nil {
		return err.in(b, typ)
	}
	*into = *p
	return nil
}

// decodeScalar decodes the boolean, number or string at the start of b into v, which can be set. It returns the encoded
// length or why it doesn't fit, which is otherType if v is something else.
func decodeScalar(b []byte, v reflect.Value) (n int, why reason) {
	why = otherType
	switch kind := v.Kind(); {
	case kind == reflect.Bool:
		if kindOf(b) == kindBool {
			v.SetBool(b[0] == 0xc3)
			return 1, ""
		}
	case v.CanInt():
		if i, negative, n, ok := readInt(b); ok {
			if int64(i) < 0 == negative && !v.OverflowInt(int64(i)) {
				v.SetInt(int64(i))
				return n, ""
			}
			why = outOfRange
		}
	case v.CanUint() && kind != reflect.Uintptr:
		if i, negative, n, ok := readInt(b); ok {
			if !negative && !v.OverflowUint(i) {
				v.SetUint(i)
				return n, ""
			}
			why = outOfRange
		}
	case v.CanFloat():
		if f, n, ok := readFloat(b); ok {
			if kind == reflect.Float64 || float64(float32(f)) == f || math.IsNaN(f) {
				v.SetFloat(f)
				return n, ""
			}
			why = outOfRange
		}
	case kind == reflect.String:
		if s, n, ok := ReadString(b); ok {
			v.SetString(string(s))
			return n, ""
		}
	}
	return 0, why
}

// decodeReflected decodes the value at the start of b into v, which is zero and can be set. It returns the encoded
// length.
func decodeReflected(b []byte, v reflect.Value) (n int, err *misfit) {
	t := infoOf(v.Type())
	if t.codesSelf {
		return decodeSelf(b, v)
	}
	n, why := decodeScalar(b, v)
	if n > 0 {
		return n, nil
	}
	count, header, isList := ReadArrayHeader(b)
	switch kind := v.Kind(); {
	case t.refused != "":
		why = t.refused
	case IsNil(b):
		switch kind {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
			return 1, nil
		}
	case kind == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return decodeReflected(b, v.Elem())
	case kind == reflect.Interface:
		if held, n := decode(b, false); reflect.TypeOf(held).Implements(v.Type()) {
			v.Set(reflect.ValueOf(held))
			return n, nil
		}
	case v.Type() == timeType:
		if sec, nsec, n, ok := readTime(b); ok {
			*v.Addr().Interface().(*time.Time) = time.Unix(sec, int64(nsec)).UTC()
			return n, nil
		}
	case kind == reflect.Map, kind == reflect.Struct && !t.asList:
		if count, header, ok := ReadMapHeader(b); ok {
			return decodePairs(b, header, count, v, t)
		}
	case (kind == reflect.Slice || kind == reflect.Array) && v.Type().Elem().Kind() == reflect.Uint8:
		data, n, ok := ReadBin(b)
		if ok && kind == reflect.Slice {
			v.SetBytes(append([]byte{}, data...))
			return n, nil
		} else if ok && len(data) == v.Len() {
			copy(v.Bytes(), data)
			return n, nil
		} else if ok {
			why = otherLength
		}
	case !isList:
	case kind == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), count, count))
		return decodeElements(b, header, count, v, t)
	case kind == reflect.Array && count == v.Len(), kind == reflect.Struct && count == len(t.fields):
		return decodeElements(b, header, count, v, t)
	case kind == reflect.Array, kind == reflect.Struct:
		why = otherLength
	}
	return 0, &misfit{b, v.Type(), why, nil}
}

// decodeElements decodes count elements, which start at b[n], into those of a list or the fields of a struct.
func decodeElements(b []byte, n, count int, v reflect.Value, t *typeInfo) (int, *misfit) {
	for i := range count {
		var element reflect.Value
		if t.asList {
			element, _ = t.fields[i].in(v, true)
		} else {
			element = v.Index(i)
		}
		size, err := decodeReflected(b[n:], element)
		if err != nil {
			return 0, err
		}
		n += size
	}
	return n, nil
}

// decodePairs decodes count pairs, which start at b[n], into map or struct v. Pairs and fields are sorted by name.
func decodePairs(b []byte, n, count int, v reflect.Value, t *typeInfo) (int, *misfit) {
	fields, isMap := t.readable, v.Kind() == reflect.Map
	var key, element reflect.Value
	if isMap {
		v.Set(reflect.MakeMapWithSize(v.Type(), count))
		key, element = reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
	}
	for range count {
		name, size, _ := ReadString(b[n:])
		n += size
		for len(fields) > 0 && fields[0].name < string(name) {
			fields = fields[1:]
		}
		if isMap {
			element.SetZero()
		} else if len(fields) > 0 && fields[0].name == string(name) {
			element, _ = fields[0].in(v, true)
		} else {
			size, _ = Skip(b[n:], 0)
			n += size
			continue
		}
		size, err := decodeReflected(b[n:], element)
		if err != nil {
			return 0, err
		}
		n += size
		if isMap {
			key.SetString(string(name))
			v.SetMapIndex(key, element)
		}
	}
	return n, nil
}
