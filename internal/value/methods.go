package value

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// The methods by which types encode or decode themselves are called by msgpack/v5, which knows how. What they write may
// have map keys in any order, and is written again in canonical form.

// codingSelf appends a value of a type that encodes or decodes itself. Methods may lose parts of the value (an embedded
// time.Time makes its encoding that of the whole struct), so it checks that what is stored can be read back.
func (e *encoder) codingSelf(dst []byte, v reflect.Value, t *typeInfo, depth int) ([]byte, error) {
	if !e.spend(0) {
		return nil, tooMuch
	}
	out, err := e.encodedSelf(dst, v, t, depth)
	if err != nil || e.lenient || e.unchecked {
		return out, err
	}
	again := reflect.New(v.Type()).Elem()
	if _, misfit := decodeSelf(out[len(dst):], again); misfit != nil {
		return nil, unstorable(v.Type(), "what it encodes to can't be read back", misfit.cause)
	}
	if !sameSelf(v, again, t) {
		return nil, unstorable(v.Type(), "its methods for encoding lose a part of it", nil)
	}
	return out, nil
}

// encodedSelf is codingSelf without the check.
func (e *encoder) encodedSelf(dst []byte, v reflect.Value, t *typeInfo, depth int) ([]byte, error) {
	if !t.encodesSelf { // msgpack/v5 would write v by its kind, and follow a cycle until the stack overflows
		if t.refused != "" {
			return nil, t.refused
		}
		unchecked := e.unchecked
		e.unchecked = true // the check of v includes what is in it
		out, err := e.byKind(dst, v, t, depth)
		e.unchecked = unchecked
		return out, err
	}
	stored, why, err := encodeSelf(v, depth)
	if err != nil {
		return nil, unstorable(v.Type(), why, err)
	}
	return e.append(dst, stored, depth)
}

// decodeSelf is decodeReflected for a type that encodes or decodes itself. Since methods and msgpack/v5 silently
// convert and truncate, the result must encode to what was stored.
func decodeSelf(b []byte, v reflect.Value) (n int, _ *misfit) {
	stored, n := decode(b, true)
	err := callDecode(stored, v)
	var again any
	if err == nil {
		e := encoder{budget: maxCost, unchecked: true}
		var out []byte
		if out, err = e.encodedSelf(nil, v, infoOf(v.Type()), 0); err == nil {
			again, _ = decode(out, true)
		}
	}
	var why reason
	switch {
	case err != nil:
		why = "decoding it failed"
	case reflect.TypeOf(stored) != reflect.TypeOf(again):
		why = otherType
	case !agree(stored, again):
		why = "it isn't what such a value encodes to"
	default:
		return n, nil
	}
	return 0, &misfit{b, v.Type(), why, err}
}

// encodeSelf returns what msgpack/v5 writes by v's methods, with the types of decode, or why that fails.
func encodeSelf(v reflect.Value, depth int) (stored any, why reason, err error) {
	why = "encoding it failed"
	defer recovered(&err)
	var out bounded
	// A new encoder, since a pooled one keeps the flags that other code gave it.
	if err := msgpack.NewEncoder(&out).EncodeValue(v); out.full {
		return nil, tooMuch, err
	} else if err != nil {
		return nil, why, err
	}
	n, err := skipLoose(out.bytes, depth)
	if err == nil && n < len(out.bytes) {
		err = errMore
	}
	if err != nil {
		return nil, reason("it encodes to a " + strings.TrimPrefix(err.Error(), "cookiesession: ")), err
	}
	stored, _ = decode(out.bytes, true)
	return stored, "", nil
}

// bounded collects what a method writes, up to maxSelf bytes: if a method passes a cyclic value to its msgpack.Encoder,
// that stops the recursion before the stack overflows.
type bounded struct {
	bytes []byte
	full  bool
}

const maxSelf = 1 << 18 // several times what a session can hold

func (w *bounded) Write(p []byte) (int, error) {
	if w.full = w.full || len(w.bytes)+len(p) > maxSelf; w.full {
		return 0, tooMuch
	}
	w.bytes = append(w.bytes, p...)
	return len(p), nil
}

// skipLoose is Skip for what a user's method wrote: the keys of a map may be in any order.
func skipLoose(b []byte, depth int) (n int, err error) {
	count, n, isList := ReadArrayHeader(b)
	isMap := false
	if !isList {
		count, n, isMap = ReadMapHeader(b)
	}
	if !isList && !isMap {
		return Skip(b, depth)
	} else if depth >= MaxDepth {
		return 0, errDeep
	}
	keys := map[string]bool{}
	for range count {
		if isMap {
			key, size, ok := ReadString(b[n:])
			if !ok {
				return 0, errKey
			} else if keys[string(key)] {
				return 0, errOrder
			}
			keys[string(key)] = true
			n += size
		}
		size, err := skipLoose(b[n:], depth+1)
		if err != nil {
			return 0, err
		}
		n += size
	}
	return n, nil
}

func callDecode(stored any, v reflect.Value) (err error) {
	defer recovered(&err)
	// If msgpack/v5 expects a map and finds an extension, it skips the extension's header and reads the data as a map's
	// header, whose count of pairs it allocates. The data of a 12-byte timestamp start with a byte that is no map's
	// code.
	e := encoder{budget: maxCost, wideTimes: true}
	b, err := e.append(nil, stored, 0)
	if err != nil {
		return err
	}
	return msgpack.NewDecoder(bytes.NewReader(b)).DecodeValue(v)
}

// recovered turns a panic of msgpack/v5, or of a user's method, into *err. It must be deferred.
func recovered(err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = p
	default:
		*err = fmt.Errorf("panic: %v", p)
	}
}

// agree reports whether stored and again are the same value. Both have the types that decode returns. Keys that only
// one of two maps has don't count: types change between versions of a program.
func agree(stored, again any) bool {
	switch s := stored.(type) {
	case []any:
		a, ok := again.([]any)
		return ok && slices.EqualFunc(s, a, agree)
	case map[string]any:
		a, ok := again.(map[string]any)
		for key, v := range s {
			if w, both := a[key]; both && !agree(v, w) {
				return false
			}
		}
		return ok
	}
	e := encoder{budget: maxCost}
	b, _ := e.append(nil, stored, 0)
	b2, _ := e.append(nil, again, 0)
	return bytes.Equal(b, b2)
}

// sameSelf reports whether again, which is v encoded and decoded by its methods, equals v: by v's method Equal or Cmp
// if it has one, else by what byKind can see of both.
func sameSelf(v, again reflect.Value, t *typeInfo) bool {
	for _, method := range []reflect.Value{v.Addr().MethodByName("Equal"), v.Addr().MethodByName("Cmp")} {
		if callEqual(method, v) { // not if v doesn't even equal itself by it
			return callEqual(method, again)
		}
	}
	if t.refused != "" {
		return true // byKind sees nothing
	}
	e, e2 := encoder{budget: maxCost, lenient: true}, encoder{budget: maxCost, lenient: true}
	b, err := e.byKind(nil, v, t, 0)
	b2, err2 := e2.byKind(nil, again, t, 0)
	return err != nil || err2 == nil && bytes.Equal(b, b2)
}

// callEqual reports whether method takes v, or a pointer to it, and returns true or 0.
func callEqual(method, v reflect.Value) (equal bool) {
	if !method.IsValid() || method.Type().NumIn() != 1 || method.Type().NumOut() != 1 {
		return false
	}
	if method.Type().In(0) == reflect.PointerTo(v.Type()) {
		v = v.Addr()
	}
	if method.Type().In(0) != v.Type() {
		return false
	}
	defer func() {
		if recover() != nil {
			equal = false
		}
	}()
	result := method.Call([]reflect.Value{v})[0]
	return result.Kind() == reflect.Bool && result.Bool() || result.CanInt() && result.Int() == 0
}
