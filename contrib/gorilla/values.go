package gorilla

import (
	"bytes"
	"encoding/gob"
)

// Values of other types than string, bool, int, float64, []byte and lists of these are kept as package gob encodes
// them: so they come back with the types that they had. A map with the one key "gob" holds the bytes.
const gobKey = "gob"

// pack returns what a cookiesession keeps of a value.
func pack(v any) (any, error) {
	if isPlain(v) {
		return v, nil
	}
	if list, ok := v.([]any); ok && list != nil {
		plain := true
		for _, element := range list {
			plain = plain && isPlain(element)
		}
		if plain {
			return list, nil
		}
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(&v); err != nil {
		return nil, err
	}
	return map[string]any{gobKey: b.Bytes()}, nil
}

// isPlain reports whether unpack returns v, type and all, from what a cookiesession makes of it.
func isPlain(v any) bool {
	switch v := v.(type) {
	case nil, string, bool, int, float64:
		return true
	case []byte:
		return v != nil
	}
	return false
}

// unpack is pack's reverse.
func unpack(kept any) (any, error) {
	switch kept := kept.(type) {
	case int64:
		if n := int(kept); int64(n) == kept {
			return n, nil
		}
	case []any:
		for i := range kept {
			var err error
			if kept[i], err = unpack(kept[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if b, ok := kept[gobKey].([]byte); ok && len(kept) == 1 {
			var v any
			err := gob.NewDecoder(bytes.NewReader(b)).Decode(&v)
			return v, err
		}
	}
	return kept, nil
}
