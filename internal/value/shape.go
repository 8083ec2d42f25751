package value

import (
	"encoding"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// maxPointers bounds how many pointers may lead to each other: some chains never end (type P *P).
const maxPointers = 32

var (
	timeType  = reflect.TypeFor[time.Time]()
	errorType = reflect.TypeFor[error]() // msgpack/v5 stores its text
)

// direction is one of the two ways of converting. Reflection stops at types that convert themselves in this direction.
type direction struct {
	methods [4]reflect.Type // the interfaces of such types
	shapes  sync.Map        // reflect.Type to *shape
	fields  sync.Map        // reflect.Type to []field
}

var (
	outward = direction{methods: [4]reflect.Type{
		reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.Marshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.TextMarshaler](),
	}}
	inward = direction{methods: [4]reflect.Type{
		reflect.TypeFor[msgpack.CustomDecoder](), reflect.TypeFor[msgpack.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryUnmarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}}
)

// opaque tells whether values of type t are left to themselves: times, errors, and types with methods for it.
func (d *direction) opaque(t reflect.Type) bool {
	if t == timeType || t == errorType {
		return true
	}
	// A pointer or an interface leads to the type that matters.
	kind := t.Kind()
	return kind != reflect.Pointer && kind != reflect.Interface &&
		slices.ContainsFunc(d.methods[:], reflect.PointerTo(t).Implements)
}

// shape is what a type alone tells about its values.
type shape struct {
	refused reason // why none of them can be converted; "" if they can
	loose   bool   // they hold times or interfaces, so a decoded one isn't canonical yet
}

// shapeOf examines t and all types that it is made of. Some of them would make msgpack/v5 recurse until the process
// dies, others can be written but not read back.
func (d *direction) shapeOf(t reflect.Type) *shape {
	if known, ok := d.shapes.Load(t); ok {
		return known.(*shape)
	}
	s := new(shape)
	d.examine(t, s, map[reflect.Type]bool{})
	d.shapes.Store(t, s)
	return s
}

func (d *direction) examine(t reflect.Type, s *shape, seen map[reflect.Type]bool) {
	if seen[t] || s.refused != "" {
		return
	}
	seen[t] = true
	if d.opaque(t) {
		s.loose = s.loose || t == timeType
		return
	}
	switch t.Kind() {
	case reflect.Interface:
		s.loose = true
	case reflect.Pointer:
		if pointee(t).Kind() == reflect.Pointer {
			s.refused = reason(t.String() + " is a pointer without an end")
			return
		}
		d.examine(t.Elem(), s, seen)
	case reflect.Slice, reflect.Array:
		d.examine(t.Elem(), s, seen)
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			s.refused = reason(t.String() + " has keys that are not strings")
			return
		}
		d.examine(t.Elem(), s, seen)
	case reflect.Struct:
		visible := func(f reflect.StructField) bool { return f.IsExported() || f.Anonymous }
		if all := reflect.VisibleFields(t); len(all) > 0 && !slices.ContainsFunc(all, visible) {
			s.refused = reason(t.String() + " has no exported fields")
			return
		}
		d.examineFields(t, s, seen, nil)
	}
}

// examineFields examines the fields of struct t, which is embedded in those of path.
func (d *direction) examineFields(t reflect.Type, s *shape, seen map[reflect.Type]bool, path []reflect.Type) {
	if slices.Contains(path, t) {
		s.refused = reason(t.String() + " is embedded in itself")
		return
	}
	for _, f := range d.fieldsOf(t) {
		switch {
		case f.refused != "":
			s.refused = f.refused
		case f.embedded:
			d.examineFields(pointee(f.typ), s, seen, append(path, t))
		default:
			d.examine(f.typ, s, seen)
		}
	}
}

// field is a field of a struct that msgpack/v5 writes and reads.
type field struct {
	index    int
	typ      reflect.Type
	embedded bool // a struct, or a pointer to one, whose fields count as those of the outer struct
	refused  reason
}

// fieldsOf lists the fields of struct t.
func (d *direction) fieldsOf(t reflect.Type) (list []field) {
	if known, ok := d.fields.Load(t); ok {
		return known.([]field)
	}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		next := field{index: i, typ: f.Type}
		if inner := pointee(f.Type); f.Anonymous && inner.Kind() == reflect.Struct {
			next.embedded = !d.opaque(inner)
		}
		if slices.Contains(strings.Split(options, ","), "intern") {
			next.refused = reason(t.String() + " asks for interned strings")
		} else if !f.IsExported() && f.Type.Kind() != reflect.Struct {
			next.refused = reason(t.String() + " embeds an unexported type, which can't be set")
		}
		list = append(list, next)
	}
	d.fields.Store(t, list)
	return list
}

// pointee returns what t points to in the end, or after maxPointers pointers.
func pointee(t reflect.Type) reflect.Type {
	for n := 0; n < maxPointers && t.Kind() == reflect.Pointer; n++ {
		t = t.Elem()
	}
	return t
}
