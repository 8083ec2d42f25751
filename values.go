package cookiesession

import (
	"bytes"
	"iter"
	"slices"

	"github.com/seed-50e21e88/cookiesession/internal/value"
)

// valuesDepth is the depth of a map of values, which is not nested in another container.
const valuesDepth = 1

// values maps strings to encoded values: a base, which was received and never changes, and the changes to it. A change
// back to the base's bytes is removed, so there are changes exactly if bytes differ.
type values struct {
	base    []byte       // entries of a canonical map, without its header; a span of the opened payload
	starts  value.Starts // where each entry starts in base
	changes []change     // sorted by key
}

// A change is one key's new value, or its deletion. The bytes are never written again once stored.
type change struct {
	bytes  []byte // as in pair
	split  uint32
	entry  uint16 // index in the base of the key's entry, or of the first one after it
	inBase bool   // the key has an entry there
}

func (c *change) pair() pair { return pair{c.bytes, c.split} }

// A pair is a key and its value, encoded one after the other as in a map, in memory of its own. Without a value it
// means that the key is deleted.
type pair struct {
	bytes []byte
	split uint32 // where the value starts
}

// newPair returns the pair of a copy of key and the value that appendValue appends. size is an estimate of the value's
// length.
func newPair(key string, size int, appendValue func([]byte) ([]byte, error)) (pair, error) {
	p := value.AppendString(make([]byte, 0, len(key)+1+size), key)
	split := len(p)
	p, err := appendValue(p)
	return pair{p, uint32(split)}, err
}

// deletion returns the pair that deletes key.
func deletion(key string) pair {
	p := value.AppendString([]byte(nil), key)
	return pair{p, uint32(len(p))}
}

func (p pair) key() []byte {
	key, _, _ := value.ReadString(p.bytes)
	return key
}

// value returns the encoded value, or nil.
func (p pair) value() []byte {
	if int(p.split) == len(p.bytes) {
		return nil
	}
	return p.bytes[p.split:]
}

// read takes payload, which must be one map and nothing else, as the base. It checks every byte, so that later reads
// need not. The index of entries is written into payload's spare capacity if it fits there; that is where the opened
// token's authentication tag was.
func (v *values) read(payload []byte) bool {
	n, header, starts, err := value.Entries(payload, valuesDepth-1, payload[len(payload):])
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
	if i < v.starts.Len() {
		return v.starts.At(i)
	}
	return len(v.base)
}

// find returns the index in the base at which key is, or would be.
func (v *values) find(key string) (i int, found bool) {
	low, high := 0, v.starts.Len()
	for low < high {
		i := (low + high) / 2
		switch at, _, _ := value.ReadString(v.base[v.starts.At(i):]); {
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
		switch at := c.pair().key(); {
		case string(at) < key:
			return -1
		case string(at) > key:
			return 1
		}
		return 0
	})
}

// get returns the encoded value of key, or nil.
func (v *values) get(key string) []byte {
	if i, ok := v.findChange(key); ok {
		return v.changes[i].pair().value()
	}
	if i, ok := v.find(key); ok {
		_, encoded := v.entry(i)
		return encoded
	}
	return nil
}

// set stores p, whose key is key. It keeps p's memory.
func (v *values) set(key string, p pair) {
	i, found := v.findChange(key)
	entry, inBase := v.find(key)
	var original []byte
	if inBase {
		_, original = v.entry(entry)
	}
	same := bytes.Equal(p.value(), original) // no encoding is empty, so a deletion equals only a missing entry
	switch {
	case same && found:
		v.changes = slices.Delete(v.changes, i, i+1)
	case same:
	case found:
		v.changes[i].bytes, v.changes[i].split = p.bytes, p.split
	default:
		v.changes = slices.Insert(v.changes, i, change{p.bytes, p.split, uint16(entry), inBase})
	}
}

func (v *values) changed() bool { return len(v.changes) > 0 }

// clear deletes every key.
func (v *values) clear() {
	v.changes = make([]change, v.starts.Len())
	for i := range v.starts.Len() {
		key, _ := v.entry(i)
		p := deletion(string(key))
		v.changes[i] = change{p.bytes, p.split, uint16(i), true}
	}
}

// len returns the number of keys.
func (v *values) len() int {
	n := v.starts.Len()
	for i := range v.changes {
		c := &v.changes[i]
		switch {
		case c.pair().value() == nil:
			n--
		case !c.inBase:
			n++
		}
	}
	return n
}

// all yields keys and encoded values in ascending order of keys.
func (v *values) all() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, encoded []byte) bool) {
		changes := v.changes
		for i := 0; i < v.starts.Len() || len(changes) > 0; {
			if len(changes) == 0 || i < int(changes[0].entry) {
				if !yield(v.entry(i)) {
					return
				}
				i++
				continue
			}
			c := &changes[0]
			if encoded := c.pair().value(); encoded != nil && !yield(c.pair().key(), encoded) {
				return
			}
			if c.inBase {
				i++
			}
			changes = changes[1:]
		}
	}
}

// append encodes the map. It copies unchanged entries in runs.
func (v *values) append(dst []byte) []byte {
	dst = value.AppendMapHeader(dst, v.len())
	from := 0
	for i := range v.changes {
		c := &v.changes[i]
		to := v.start(int(c.entry))
		dst = append(dst, v.base[from:to]...)
		from = to
		if c.inBase {
			from = v.start(int(c.entry) + 1)
		}
		if c.pair().value() != nil {
			dst = append(dst, c.bytes...)
		}
	}
	return append(dst, v.base[from:]...)
}
