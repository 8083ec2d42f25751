package value

import (
	"reflect"
	"time"
)

// settle gives what msgpack/v5 decoded into v the types that Decode returns wherever v has an interface, and puts its
// times into UTC.
func settle(v reflect.Value) {
	t := v.Type()
	if t == timeType {
		v.Set(reflect.ValueOf(v.Interface().(time.Time).UTC()))
		return
	}
	if !inward.shapeOf(t).loose {
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		// What can't be stored fails the comparison that follows.
		if b, err := Append(nil, v.Interface(), 0); err == nil && !v.IsNil() {
			v.Set(reflect.ValueOf(Decode(b)))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			settle(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			settle(v.Index(i))
		}
	case reflect.Map:
		for pairs := v.MapRange(); pairs.Next(); {
			element := reflect.New(t.Elem()).Elem()
			element.Set(pairs.Value())
			settle(element)
			v.SetMapIndex(pairs.Key(), element)
		}
	case reflect.Struct:
		for _, f := range inward.fieldsOf(t) {
			settle(v.Field(f.index))
		}
	}
}
