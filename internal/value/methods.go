package value

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// Types with methods for encoding or decoding themselves are msgpack/v5's affair, which knows how to call them. What
// such a method writes is read here as loosely as msgpack allows, and written again in canonical form.

// codingSelf appends a value of a type that encodes or decodes itself. Methods can lose what they like (an embedded
// time.Time makes its own encoding that of the whole struct), so it makes sure that what is stored comes back.
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

// encodedSelf is codingSelf without making sure.
func (e *encoder) encodedSelf(dst []byte, v reflect.Value, t *typeInfo, depth int) ([]byte, error) {
	if !t.encodesSelf { // msgpack/v5 would write what v is made of, and follow a cycle until the stack is full
		if t.refused != "" {
			return nil, t.refused
		}
		unchecked := e.unchecked
		e.unchecked = true // what is in v comes back with it, or else v doesn't
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

// decodeSelf is decodeReflected for a type that encodes or decodes itself. Since methods and msgpack/v5 convert and
// truncate without a word, what comes out must encode to what was stored.
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

// encodeSelf returns what v's methods, or msgpack/v5 for it, write, with the types of decode, or why that fails.
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

// bounded takes what a method writes, up to maxSelf bytes: where a method hands what is cyclic to its msgpack.Encoder,
// that stops the recursion before the stack is full.
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

// skipLoose is Skip for what a method of the user's wrote: the keys of a map may come in any order.
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
	// Where msgpack/v5 looks for a map and finds an extension, it skips a header and takes what follows for the number
	// of pairs to allocate. The 12-byte form of timestamps has a byte there that is no map's code.
	e := encoder{budget: maxCost, wideTimes: true}
	b, err := e.append(nil, stored, 0)
	if err != nil {
		return err
	}
	return msgpack.NewDecoder(bytes.NewReader(b)).DecodeValue(v)
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

// agree tells whether again is the value that stored is. Both have the types that decode returns. Keys that only one of
// two maps has don't count: types change between versions of a program.
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

// sameSelf tells whether again, which v became on its way through its own methods, is v: by its method Equal or Cmp if
// it has one, else as far as everybody can see it.
func sameSelf(v, again reflect.Value, t *typeInfo) bool {
	for _, method := range []reflect.Value{v.Addr().MethodByName("Equal"), v.Addr().MethodByName("Cmp")} {
		if callEqual(method, v) { // what doesn't equal itself has an idea of its own about that
			return callEqual(method, again)
		}
	}
	if t.refused != "" {
		return true // nothing to see
	}
	e, e2 := encoder{budget: maxCost, lenient: true}, encoder{budget: maxCost, lenient: true}
	b, err := e.byKind(nil, v, t, 0)
	b2, err2 := e2.byKind(nil, again, t, 0)
	return err != nil || err2 == nil && bytes.Equal(b, b2)
}

// callEqual tells whether method takes v, or a pointer to it, and returns true or 0.
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
