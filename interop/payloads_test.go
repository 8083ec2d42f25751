package interop

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"slices"
	"strings"
	"testing"
)

const payloads = 3000

// TestPayloads seals payloads that no application makes: encodings longer than needed, what breaks a rule in one place,
// and random changes. Both implementations must agree on what is malformed and on what the rest means.
func TestPayloads(t *testing.T) {
	g := newGenerator(t, 3)
	a := g.agreement()
	a.IdleTimeout = 1000
	requests := make([]request, payloads)
	for i := range requests {
		r := request{agreement: a}
		session := &content{Payload: hex.EncodeToString(g.payload(a.Now, "session"))}
		flash := &content{Payload: hex.EncodeToString(g.payload(a.Now, "flash")), Expires: a.Now + 600}
		lease := &content{Payload: hex.EncodeToString(g.payload(a.Now, "lease"))}
		r.Session, r.Flash, r.Lease = session, flash, lease
		requests[i] = r
	}
	for i, reply := range node(t, "seal", requests) {
		requests[i] = request{agreement: a}
		for _, line := range reply.SetCookie {
			pair, _, _ := strings.Cut(line, ";")
			requests[i].Cookie = append(requests[i].Cookie, octets(pair))
		}
	}
	agree(t, requests)
}

// payload returns msgpack in which each rule of FORMAT.md is broken once in a while.
func (g generator) payload(now int64, purpose string) []byte {
	w := &wild{g: g}
	id := []byte("0123456789abcdef")
	switch purpose {
	case "session":
		w.list(7)
		w.bin(id)
		w.time(now + g.mostly(-g.Int64N(1000), 60, 61))
		w.time(now + g.mostly(-g.Int64N(1000), -1000, -1001, -2000, 60, 61))
		w.time(now + g.mostly(1+g.Int64N(2000), 0, 1))
		w.uint(uint64(g.IntN(3)))
		w.bin(pick(g, nil, g.bytes(16), make([]byte, 16)))
		w.values(g.IntN(5), 1)
	case "flash":
		w.list(2)
		w.time(now + g.mostly(1+g.Int64N(600), 0, 1))
		w.values(1+g.IntN(3), 1)
	case "lease":
		w.list(2)
		w.bin(id)
		w.time(now + g.mostly(-g.Int64N(1000), -1000, -1001, 60, 61))
	}
	if g.IntN(4) == 0 {
		i := g.IntN(len(w.out))
		switch g.IntN(4) {
		case 0:
			w.out[i] = byte(g.Uint32())
		case 1:
			w.out = w.out[:max(i, 1)]
		case 2:
			w.out = slices.Delete(w.out, i, i+1)
		case 3:
			w.out = slices.Insert(w.out, i, byte(g.Uint32()))
		}
	}
	return w.out
}

// mostly returns common, and sometimes one of the edges.
func (g generator) mostly(common int64, edges ...int64) int64 {
	if g.IntN(5) == 0 {
		return pick(g, edges...)
	}
	return common
}

// A wild writer writes longer forms than needed, and sometimes a wrong one.
type wild struct {
	g   generator
	out []byte
}

// slip says whether to break a rule.
func (w *wild) slip() bool { return w.g.IntN(150) == 0 }

// head writes a length or count, which is mostly true: in the code fix itself if it's below direct, or after code in
// 1<<first to 4 bytes.
func (w *wild) head(n int, fix byte, direct int, code byte, first int) {
	if w.slip() {
		n = max(n+w.g.IntN(3)-1, 0)
	}
	if n < direct && w.g.IntN(2) == 0 {
		w.out = append(w.out, fix|byte(n))
		return
	}
	w.number(code, uint64(n), first, 2)
}

// number writes n in 1<<first to 1<<last bytes, each with a code of its own.
func (w *wild) number(code byte, n uint64, first, last int) {
	least := first
	for bits.Len64(n) > 8<<least {
		least++
	}
	power := least + w.g.IntN(last-least+1)
	w.out = append(w.out, code+byte(power-first))
	w.body(n, power)
}

// body writes the last 1<<power bytes of n.
func (w *wild) body(n uint64, power int) {
	all := binary.BigEndian.AppendUint64(nil, n)
	w.out = append(w.out, all[8-1<<power:]...)
}

func (w *wild) list(n int) { w.head(n, 0x90, 16, 0xdc, 1) }

func (w *wild) bin(b []byte) {
	if w.slip() {
		b = append(b, 0)
	}
	w.head(len(b), 0, 0, 0xc4, 0)
	w.out = append(w.out, b...)
}

func (w *wild) string(s string) {
	w.head(len(s), 0xa0, 32, 0xd9, 0)
	w.out = append(w.out, s...)
}

func (w *wild) time(n int64) {
	if w.slip() {
		w.uint(pick[uint64](w.g, 1<<61-1, 1<<61, 1<<63, 0))
		return
	}
	w.uint(uint64(n))
}

func (w *wild) uint(n uint64) {
	switch {
	case w.slip():
		w.number(0xd0, n, 0, 3)
	case n < 0x80 && w.g.IntN(2) == 0:
		w.out = append(w.out, byte(n))
	default:
		w.number(0xcc, n, 0, 3)
	}
}

func (w *wild) values(n, depth int) {
	keys := sortedKeys(w.g.values(n, 40))
	if w.slip() {
		slices.Reverse(keys)
	}
	if w.slip() && len(keys) > 0 {
		keys = append(keys, keys[len(keys)-1])
	}
	w.head(len(keys), 0x80, 16, 0xde, 1)
	for _, key := range keys {
		w.string(key)
		w.value(depth)
	}
}

func (w *wild) value(depth int) {
	g := w.g
	kinds := 10
	if depth > 3 {
		kinds = 7
	}
	switch g.IntN(kinds) {
	case 0:
		w.out = append(w.out, pick[byte](g, 0xc0, 0xc2, 0xc3, 0x00, 0x7f, 0xe0, 0xff))
	case 1:
		w.uint(g.Uint64() >> g.IntN(64))
	case 2: // signed, which may hold what is unsigned
		power := g.IntN(4)
		w.out = append(w.out, 0xd0+byte(power))
		w.body(g.Uint64(), power)
	case 3:
		power := 2 + g.IntN(2)
		w.out = append(w.out, 0xc8+byte(power))
		w.body(pick(g, g.Uint64(), 0x7ff8000000000001, 0xfff0000000000001, 0x7ff0000000000000, 0x7f800001, 0xffc00000), power)
	case 4:
		w.string(g.text())
	case 5:
		w.bin(g.bytes(g.length()))
	case 6:
		w.extension()
	case 7:
		n := g.IntN(4)
		w.list(n)
		for range n {
			w.value(depth + 1)
		}
	case 8:
		w.values(g.IntN(4), depth+1)
	case 9:
		if depth == 1 && g.IntN(4) == 0 {
			n := pick(g, 30, 31, 32)
			for range n {
				w.list(1)
			}
		}
		w.value(4)
	}
}

func (w *wild) extension() {
	g := w.g
	size := pick(g, 4, 8, 12)
	switch {
	case w.slip():
		size = pick(g, 0, 1, 2, 3, 5, 7, 9, 16)
		fallthrough
	case size == 12 || g.IntN(2) == 0:
		power := g.IntN(3)
		w.out = append(w.out, 0xc7+byte(power))
		w.body(uint64(size), power)
	default:
		w.out = append(w.out, 0xd4+byte(bits.TrailingZeros(uint(size))))
	}
	kind := byte(0xff)
	if w.slip() {
		kind = byte(g.Uint32())
	}
	w.out = append(w.out, kind)
	data := g.bytes(size)
	if size >= 8 && g.IntN(8) > 0 { // nanoseconds below 10^9, mostly
		nanoseconds := pick[uint32](g, 0, 999999999, 1000000000-uint32(g.IntN(2)), g.Uint32N(1e9))
		if size == 8 {
			nanoseconds <<= 2
		}
		binary.BigEndian.PutUint32(data, nanoseconds)
	}
	w.out = append(w.out, data...)
}
