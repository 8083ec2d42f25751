package cookiesession

import (
	"bytes"
	"iter"
	"slices"

	"github.com/seed-50e21e88/cookiesession/internal/value"
)

// valuesDepth is the depth of a map of values: what lies in it is nested one deeper.
const valuesDepth = 1

// values maps strings to encoded values: a base that came sealed and never changes, and what differs from it. Since a
// change back to the base's bytes leaves no trace, there is a change exactly if bytes differ.
type values struct {
	base    []byte   // entries of a canonical map, without its header; a span of the opened payload
	starts  []uint16 // where each entry starts in base
	changes []change // sorted by key
}

// A change is one key's new value, or its deletion if encoded is nil. The bytes are never written again once stored.
type change struct {
	key     string
	encoded []byte
	entry   uint16 // of the base: the key's, or the first one behind it
	inBase  bool   // the key has an entry there
}

// read takes payload, which must be one map and nothing else, as the base. It checks every byte, so that nothing
// after it needs to. starts is storage that it may keep.
func (v *values) read(payload []byte, starts []uint16) bool {
	n, header, starts, err := value.Entries(payload, valuesDepth-1, starts)
	if err != nil || n != len(payload) {
		return false
	}
	v.base, v.starts = payload[header:], starts
	return true
}

// entry returns key and value i of the base.
func (v *values) entry(i int) (key, encoded []byte) {
	entry := v.base[v.start(i):v.start(i+1)]
	key, n, _ := value.ReadString(entry)
	return key, entry[n:]
}

// start returns where entry i of the base starts, or the base's end.
func (v *values) start(i int) int {
	if i < len(v.starts) {
		return int(v.starts[i])
	}
	return len(v.base)
}

// find returns where key is, or would be, in the base.
func (v *values) find(key string) (i int, found bool) {
	low, high := 0, len(v.starts)
	for low < high {
		i := (low + high) / 2
		switch at, _, _ := value.ReadString(v.base[v.starts[i]:]); {
		case string(at) < key:
			low = i + 1
		case string(at) == key:
			return i, true
		default:
			high = i
		}
	}
	return low, false
}

func (v *values) findChange(key string) (i int, found bool) {
	return slices.BinarySearchFunc(v.changes, key, func(c change, key string) int {
		switch {
		case c.key < key:
			return -1
		case c.key > key:
			return 1
		}
		return 0
	})
}

// get returns the encoded value of key, or nil.
func (v *values) get(key string) []byte {
	if i, ok := v.findChange(key); ok {
		return v.changes[i].encoded
	}
	if i, ok := v.find(key); ok {
		_, encoded := v.entry(i)
		return encoded
	}
	return nil
}

// set gives key the encoded value, or deletes it if that is nil. It keeps encoded.
func (v *values) set(key string, encoded []byte) {
	i, found := v.findChange(key)
	entry, inBase := v.find(key)
	var original []byte
	if inBase {
		_, original = v.entry(entry)
	}
	same := bytes.Equal(encoded, original) // no value is encoded as nothing, so nil equals only nil
	switch {
	case same && found:
		v.changes = slices.Delete(v.changes, i, i+1)
	case same:
	case found:
		v.changes[i].encoded = encoded
	default:
		v.changes = slices.Insert(v.changes, i, change{key, encoded, uint16(entry), inBase})
	}
}

func (v *values) changed() bool { return len(v.changes) > 0 }

// clear deletes every key.
func (v *values) clear() {
	v.changes = make([]change, len(v.starts))
	for i := range v.starts {
		key, _ := v.entry(i)
		v.changes[i] = change{key: string(key), entry: uint16(i), inBase: true}
	}
}

// len returns the number of keys.
func (v *values) len() int {
	n := len(v.starts)
	for _, c := range v.changes {
		switch {
		case c.encoded == nil:
			n--
		case !c.inBase:
			n++
		}
	}
	return n
}

// all yields keys and encoded values in ascending order of keys.
func (v *values) all() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		changes := v.changes
		for i := range v.starts {
			key, encoded := v.entry(i)
			for len(changes) > 0 && changes[0].key < string(key) {
				if !yield(changes[0].key, changes[0].encoded) {
					return
				}
				changes = changes[1:]
			}
			if len(changes) > 0 && changes[0].key == string(key) {
				encoded, changes = changes[0].encoded, changes[1:]
			}
			if encoded != nil && !yield(string(key), encoded) {
				return
			}
		}
		for _, c := range changes {
			if !yield(c.key, c.encoded) {
				return
			}
		}
	}
}

// append encodes the map. It copies what didn't change in runs.
func (v *values) append(dst []byte) []byte {
	dst = value.AppendMapHeader(dst, v.len())
	from := 0
	for _, c := range v.changes {
		to := v.start(int(c.entry))
		dst = append(dst, v.base[from:to]...)
		from = to
		if c.inBase {
			from = v.start(int(c.entry) + 1)
		}
		if c.encoded != nil {
			dst = value.AppendString(dst, c.key)
			dst = append(dst, c.encoded...)
		}
	}
	return append(dst, v.base[from:]...)
}
