package value

import (
	"cmp"
	"encoding"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

var timeType = reflect.TypeFor[time.Time]()

// typeInfo is what is known about values from their type alone.
type typeInfo struct {
	codesSelf   bool    // they have methods for encoding or decoding, which msgpack/v5 calls
	encodesSelf bool    // they have one for encoding
	refused     reason  // why none can be stored, unless by such methods; "" if they can
	fields      []field // of a struct, in the order in which they are written
	readable    []field // these and their aliases, in ascending order of names
	asList      bool    // the struct is stored as a list of its fields
}

// field is a field of a struct that is stored.
type field struct {
	name          string
	index         []int // as in reflect.StructField, through embedded structs
	omitZero      bool  // left out if it's zero
	behindPointer bool  // an embedded pointer is on the way to it
	alias         bool  // the name is read, but not written
}

var infos sync.Map // reflect.Type to *typeInfo, which doesn't change any more

func infoOf(t reflect.Type) *typeInfo {
	if known, ok := infos.Load(t); ok {
		return known.(*typeInfo)
	}
	info := &typeInfo{codesSelf: codesSelf(t)}
	info.encodesSelf = info.codesSelf && hasMethodsOf(t, encodingMethods)
	switch kind := t.Kind(); {
	case kind == reflect.Pointer && t.Name() != "": // such as type P *P, whose pointers never end
		info.refused = reason(t.String() + " is a pointer type with a name of its own")
	case kind == reflect.Map && (t.Key().Kind() != reflect.String || codesSelf(t.Key())):
		info.refused = reason(t.String() + " has keys that are not strings, or encode themselves")
	case kind == reflect.Struct && t != timeType:
		info.refused = info.examineFields(t)
	}
	infos.Store(t, info)
	return info
}

// encodingMethods are the interfaces of types that encode themselves.
var encodingMethods = []reflect.Type{
	reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
	reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
}

// decodingMethods are the interfaces of types that decode themselves.
var decodingMethods = []reflect.Type{
	reflect.TypeFor[msgpack.CustomDecoder](), reflect.TypeFor[msgpack.Unmarshaler](),
	reflect.TypeFor[encoding.BinaryUnmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
}

func hasMethodsOf(t reflect.Type, interfaces []reflect.Type) bool {
	return slices.ContainsFunc(interfaces, reflect.PointerTo(t).Implements)
}

// codesSelf reports whether values of type t have a coding method, be it for encoding or decoding only. Pointers and
// interfaces have none: they lead to the type that counts. Nor have times: msgpack has a form for them.
func codesSelf(t reflect.Type) bool {
	kind := t.Kind()
	return t != timeType && kind != reflect.Pointer && kind != reflect.Interface &&
		(hasMethodsOf(t, encodingMethods) || hasMethodsOf(t, decodingMethods))
}

// examineFields fills in what follows from struct t's fields. It returns why they can't be stored, or "".
func (info *typeInfo) examineFields(t reflect.Type) reason {
	fields, why := fieldsOf(t, nil)
	if why != "" {
		return why
	} else if len(fields) == 0 && t.NumField() > 0 {
		return reason(t.String() + " has no fields that are stored")
	}
	byName := func(a, b field) int { return cmp.Compare(a.name, b.name) }
	info.readable = slices.SortedFunc(slices.Values(fields), byName)
	for i := 1; i < len(fields); i++ {
		if info.readable[i-1].name == info.readable[i].name {
			return reason(t.String() + " has two fields of one name")
		}
	}
	info.fields = slices.DeleteFunc(fields, func(f field) bool { return f.alias })
	if f, ok := t.FieldByName("_msgpack"); ok {
		_, options := tagOf(f)
		info.asList = slices.Contains(options, "as_array") || slices.Contains(options, "asArray")
	}
	if !info.asList {
		slices.SortFunc(info.fields, byName)
	} else if slices.ContainsFunc(info.fields, func(f field) bool { return f.behindPointer || f.omitZero }) {
		return reason(t.String() + " is stored as a list, but may leave out fields")
	}
	return ""
}

// fieldsOf lists the fields of struct t, which is embedded in those of path, by the rules of msgpack/v5.
func fieldsOf(t reflect.Type, path []reflect.Type) (fields []field, why reason) {
	refuse := func(why string) ([]field, reason) { return nil, reason(t.String() + why) }
	if slices.Contains(path, t) {
		return refuse(" is embedded in itself")
	}
	omitAll := false
	for i := range t.NumField() {
		f := t.Field(i)
		name, options := tagOf(f)
		has := func(option string) bool { return slices.Contains(options, option) }
		if f.Name == "_msgpack" {
			omitAll = has("omitempty")
		}
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case strings.ContainsAny(f.Tag.Get("msgpack"), `'\(`):
			return refuse(" has a field tag with quotes or brackets")
		case has("intern"):
			return refuse(" asks for interned strings")
		case !f.IsExported() && (f.Type.Kind() != reflect.Struct || codesSelf(f.Type)):
			return refuse(" embeds an unexported type, which can't be set")
		}
		inner, byPointer := f.Type, f.Type.Kind() == reflect.Pointer
		if byPointer {
			inner = inner.Elem()
		}
		if f.Anonymous && inner.Kind() == reflect.Struct && inner != timeType && !codesSelf(inner) && !has("noinline") {
			promoted, why := fieldsOf(inner, append(path, t))
			if why != "" {
				return nil, why
			}
			known := func(p field) bool {
				return slices.ContainsFunc(fields, func(f field) bool { return f.name == p.name })
			}
			if has("inline") || !slices.ContainsFunc(promoted, known) {
				if byPointer && !slices.ContainsFunc(promoted, func(p field) bool { return !p.behindPointer }) {
					return refuse(" embeds a pointer to a struct without fields")
				}
				for _, p := range promoted {
					p.index = append([]int{i}, p.index...)
					p.behindPointer = p.behindPointer || byPointer
					fields = append(fields, p)
				}
				continue
			}
		}
		stored := field{name: cmp.Or(name, f.Name), index: []int{i}, omitZero: omitAll || has("omitempty")}
		fields = append(fields, stored)
		for _, option := range options {
			if alias, ok := strings.CutPrefix(option, "alias:"); ok {
				fields = append(fields, field{name: alias, index: stored.index, alias: true})
			}
		}
	}
	return fields, ""
}

// tagOf returns the name that f's tag gives it, and the tag's options.
func tagOf(f reflect.StructField) (name string, options []string) {
	parts := strings.Split(f.Tag.Get("msgpack"), ",")
	for i, part := range parts {
		parts[i] = strings.TrimSpace(part)
	}
	if strings.Contains(parts[0], ":") { // alias:NAME may stand first
		return "", parts
	}
	return parts[0], parts[1:]
}

// in returns the field of struct v. If an embedded pointer on the way is nil, it gets a new struct if set is true;
// otherwise ok is false.
func (f *field) in(v reflect.Value, set bool) (_ reflect.Value, ok bool) {
	for _, i := range f.index {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() && !set {
				return v, false
			} else if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		v = v.Field(i)
	}
	return v, true
}

// written reports whether the field is written for struct v. Behind an embedded pointer that isn't nil every field is:
// if all were left out, the pointer would be read back as nil.
func (f *field) written(v reflect.Value) bool {
	inner, ok := f.in(v, false)
	return ok && (f.behindPointer || !f.omitZero || !inner.IsZero())
}
