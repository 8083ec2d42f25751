package interop

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// describe writes a value in the notation of the program, whose types are those of encoding/json.
func describe(v any) any {
	switch v := v.(type) {
	case nil, bool:
		return v
	case int64:
		if v <= -1<<53 || v >= 1<<53 {
			return map[string]any{"int": strconv.FormatInt(v, 10)}
		}
		return json.Number(strconv.FormatInt(v, 10))
	case uint64:
		if v < 1<<53 {
			return describe(int64(v))
		}
		return map[string]any{"int": strconv.FormatUint(v, 10)}
	case float32:
		return map[string]any{"float32": floatText(float64(v))}
	case float64:
		return map[string]any{"float": floatText(v)}
	case string:
		if !utf8.ValidString(v) {
			return map[string]any{"string": hex.EncodeToString([]byte(v))}
		}
		return v
	case []byte:
		return map[string]any{"bytes": hex.EncodeToString(v)}
	case time.Time:
		nanoseconds := json.Number(strconv.Itoa(v.Nanosecond()))
		return map[string]any{"time": map[string]any{"seconds": describe(v.Unix()), "nanoseconds": nanoseconds}}
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = describe(v[i])
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		var pairs []any
		asPairs := false
		for _, key := range sortedKeys(v) {
			described := describe(v[key])
			object[key] = described
			pairs = append(pairs, []any{describe(key), described})
			asPairs = asPairs || !utf8.ValidString(key)
		}
		if asPairs {
			return map[string]any{"pairs": pairs}
		}
		return map[string]any{"map": object}
	}
	panic(fmt.Sprintf("no notation for %T", v))
}

func sortedKeys(m map[string]any) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func floatText(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// normal gives equal floats equal text, whatever their width and who wrote them.
func normal(notation any) any {
	switch v := notation.(type) {
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case map[string]any:
		for _, width := range []string{"float", "float32"} {
			if text, ok := v[width].(string); ok && len(v) == 1 {
				if f, err := strconv.ParseFloat(text, 64); err == nil {
					return map[string]any{"float": floatText(f)}
				}
			}
		}
		for key := range v {
			v[key] = normal(v[key])
		}
	}
	return notation
}

// A generator makes random things.
type generator struct{ *rand.Rand }

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// length is often next to where a longer encoding begins.
func (g generator) length() int {
	switch g.IntN(8) {
	case 0:
		return pick(g, 15, 16, 17, 31, 32, 33, 255, 256, 257)
	case 1:
		return g.IntN(300)
	}
	return g.IntN(8)
}

// text is UTF-8 mostly, with what is special somewhere: JavaScript, UTF-16, C, JSON.
func (g generator) text() string {
	switch g.IntN(12) {
	case 0:
		return pick(g, "__proto__", "constructor", "toString", "length", "0", "-1", "\ufeff", "\x00", "pairs", "map", "\u2028")
	case 1:
		return pick(g, "\U0001f600", "\uffff", "\ue000", "é", "e\u0301", "\xed\xa0\x80", "\xff", "a\xc3", "\xf4\x90\x80\x80")
	}
	var b strings.Builder
	for n := g.length(); b.Len() < n; {
		b.WriteRune(pick(g, rune('a'+g.IntN(26)), rune(' '+g.IntN(95)), rune(g.IntN(0xd800)), 0x10000+rune(g.IntN(0x100000))))
	}
	return b.String()
}

func (g generator) integer() any {
	n := g.Uint64() >> g.IntN(64)
	if g.IntN(3) == 0 {
		n = 1<<g.IntN(64) + uint64(g.IntN(3)) - 1
	}
	switch {
	case g.IntN(3) == 0:
		return -int64(n)
	case n > math.MaxInt64:
		return n
	}
	return int64(n)
}

func (g generator) float() float64 {
	switch g.IntN(4) {
	case 0:
		return pick(g, 0, math.Copysign(0, -1), 1, math.Inf(1), math.Inf(-1), math.NaN(), 1<<53, math.MaxFloat64, math.SmallestNonzeroFloat64)
	case 1:
		return math.Float64frombits(g.Uint64())
	}
	return g.NormFloat64()
}

func (g generator) time() time.Time {
	seconds := pick(g, 0, 1<<32-1, 1<<32, 1<<34-1, 1<<34, -1, math.MinInt64, math.MaxInt64, 1767225600, g.Int64N(1<<33), int64(g.Uint64())>>g.IntN(40))
	return time.Unix(seconds, int64(pick(g, 0, 0, 1, 999999999, g.IntN(1e9)))).UTC()
}

// value is any value; depth counts the lists and maps around it.
func (g generator) value(depth int) any {
	if g.IntN(200) == 0 && depth == 1 {
		var v any
		for range 31 { // as deep as can be
			v = pick[any](g, []any{v}, map[string]any{"": v})
		}
		return v
	}
	kinds := 11
	if depth > 4 {
		kinds = 9
	}
	switch g.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return g.IntN(2) == 0
	case 2, 3:
		return g.integer()
	case 4:
		return g.float()
	case 5:
		return float32(g.float())
	case 6:
		return g.text()
	case 7:
		return g.bytes(g.length())
	case 8:
		return g.time()
	case 9:
		list := []any{}
		for range g.length() >> min(depth, 4) {
			list = append(list, g.value(depth+1))
		}
		return list
	}
	return g.values(g.length()>>min(depth, 4), depth+1)
}

func (g generator) values(n, depth int) map[string]any {
	m := make(map[string]any)
	for range n {
		m[g.text()] = g.value(depth)
	}
	return m
}

// within calls random until what it makes takes fewer bytes than limit, whichever way it's written.
func within[T any](limit int, random func() T) T {
	for {
		v := random()
		if len(asJSON(describe(v))) < limit {
			return v
		}
	}
}
