package value

import (
	"reflect"
	"time"
)

// settle gives what msgpack/v5 decoded into v Decode's types where v has interfaces, and UTC where it has times.
func settle(v reflect.Value) {
	t := v.Type()
	if t == timeType {
		v.Set(reflect.ValueOf(v.Interface().(time.Time).UTC()))
		return
	}
	if inward.opaque(t) || !inward.shapeOf(t).loose {
		return
	}
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(reflect.ValueOf(settled(v.Interface())))
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

// settled returns v, which msgpack/v5 decoded into an interface, as Decode would have.
func settled(v any) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint64:
		if int64(v) >= 0 {
			return int64(v)
		}
	case float32:
		return float64(v)
	case time.Time:
		return v.UTC()
	case []any:
		for i := range v {
			v[i] = settled(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = settled(v[key])
		}
	}
	return v
}
