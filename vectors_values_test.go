package cookiesession_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// flashCases are about FORMAT.md, 6.2 and 7.2.
func flashCases() []vectorCase {
	messages := map[string]any{"notice": "Saved."}
	payload := func(expires int64) []byte {
		return slices.Concat([]byte{0x92}, packTime(expires), unhex("81 a66e6f74696365 a653617665642e"))
	}
	refused := func(name, about, reason string, prepare func(m *vectorMaker)) vectorCase {
		return vectorCase{"flash-" + name, about, func(m *vectorMaker) {
			prepare(m)
			m.session(example(oneValue).encode())
			m.opens(example(), oneDecoded)
			m.v.Expect.Flash = reason
		}}
	}
	return []vectorCase{
		{"flash", "A flash message in a request without a session, a second before it expires.", func(m *vectorMaker) {
			m.writeFlash(exampleNow+1, messages)
		}},
		{"flash-and-session", "Session and flash.", func(m *vectorMaker) {
			m.write(example(), map[string]any{"user": "Ada"})
			m.writeFlash(exampleNow+300, messages)
		}},
		{"flash-session-refused", "That the session is refused is nothing to the flash message.", func(m *vectorMaker) {
			m.add(m.v.Name + "=1AAAA")
			m.writeFlash(exampleNow+300, messages)
			m.refused("malformed")
		}},
		{"flash-two-cookies", "Two flash cookies.", func(m *vectorMaker) {
			m.flash(payload(exampleNow+1), 28)
			m.v.Expect.Flash, m.v.Expect.FlashValues = "opens", messages
		}},
		{"flash-quoted", "Two flash cookies in quotes.", func(m *vectorMaker) {
			m.add(quoted(splitToken(m.v.Name+".flash", m.token(currentKey, "flash", payload(exampleNow+1)), 28)...)...)
			m.v.Expect.Flash, m.v.Expect.FlashValues = "opens", messages
		}},
		{"flash-rival-expired", "An expired flash payload is no rival.", func(m *vectorMaker) {
			for _, p := range [][]byte{payload(exampleNow), payload(exampleNow + 1)} {
				m.add(splitToken(m.v.Name+".flash", m.token(currentKey, "flash", p))...)
			}
			m.v.Expect.Flash, m.v.Expect.FlashValues = "opens", messages
		}},
		refused("expired", "The message expires now.", "expired", func(m *vectorMaker) { m.flash(payload(exampleNow)) }),
		refused("ambiguous", "Two flash payloads that open.", "ambiguous", func(m *vectorMaker) {
			for range 2 {
				m.add(splitToken(m.v.Name+".flash", m.token(currentKey, "flash", payload(exampleNow+1)))...)
			}
		}),
		refused("malformed", "Three elements.", "malformed", func(m *vectorMaker) {
			p := payload(exampleNow + 1)
			p[0]++
			m.flash(append(p, 0))
		}),
		refused("torn", "The second flash cookie is missing.", "torn", func(m *vectorMaker) {
			m.add(splitToken(m.v.Name+".flash", m.token(currentKey, "flash", payload(exampleNow+1)), 28)[0])
		}),
		refused("torn-before-expired", "Of a torn and an expired one, the first gives the reason.", "torn", func(m *vectorMaker) {
			m.add(splitToken(m.v.Name+".flash", m.token(currentKey, "flash", payload(exampleNow+1)), 28)[0])
			m.add(splitToken(m.v.Name+".flash", m.token(currentKey, "flash", payload(exampleNow)))...)
		}),
		refused("expired-before-torn", "The same in the other order.", "expired", func(m *vectorMaker) {
			m.add(splitToken(m.v.Name+".flash", m.token(currentKey, "flash", payload(exampleNow)))...)
			m.add(splitToken(m.v.Name+".flash", m.token(currentKey, "flash", payload(exampleNow+1)), 28)[0])
		}),
		refused("unknown-key", "A session token in the flash cookie.", "unknown-key", func(m *vectorMaker) {
			m.add(splitToken(m.v.Name+".flash", m.token(currentKey, "session", payload(exampleNow+1)))...)
		}),
	}
}

// payloadCases are about the fields of a session payload (FORMAT.md, 6 and 6.1) and about values that a reader must
// refuse (6.5). All open.
func payloadCases() []vectorCase {
	var cases []vectorCase
	for _, c := range []struct {
		name, about string
		field       int
		digits      string
	}{
		{"map", "A map instead of an array.", 0, "87"},
		{"six", "An array of six, and a field more.", 0, "96"},
		{"eight", "An array of eight, and a field less.", 0, "98"},
		{"id-short", "An ID of 15 bytes.", 1, "c40f a0a1a2a3a4a5a6a7a8a9aaabacadae"},
		{"id-string", "An ID that is a string.", 1, "b0 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"},
		{"time-signed", "A time in a signed form.", 2, "d26955b900"},
		{"time-negative", "A negative time.", 2, "ff"},
		{"time-float", "A time that is a float.", 3, "cb41da556e4f000000"},
		{"time-large", "A time of 2^61.", 4, "cf2000000000000000"},
		{"mode", "Mode 3.", 5, "03"},
		{"csrf-short", "A CSRF secret of 15 bytes.", 6, "c40f a0a1a2a3a4a5a6a7a8a9aaabacadae"},
		{"csrf-nil", "A CSRF secret that is nil.", 6, "c0"},
		{"values-list", "Values in a list.", 7, "91 01"},
		{"values-nil", "Values that are nil.", 7, "c0"},
		{"values-missing", "No values.", 7, ""},
		{"values-truncated", "A map of two with one pair.", 7, "82 a161 01"},
		{"trailing", "A byte after the end.", 7, "81 a161 01 c0"},
		{"keys-descending", "Keys in descending order.", 7, "82 a162 01 a161 01"},
		{"keys-twice", "A key twice.", 7, "82 a161 01 a161 01"},
		{"keys-by-length", "A longer key before its prefix.", 7, "82 a26161 01 a161 01"},
		{"keys-utf-16", "Keys in the order of UTF-16 code units.", 7, "82 a4f09f9880 01 a3efbd9e 01"},
		{"keys-nested", "Keys in a nested map in descending order.", 7, "81 a161 82 a162 01 a161 01"},
		{"keys-nested-twice", "A key twice in a nested map.", 7, "81 a161 82 a162 01 a162 01"},
		{"key-bytes", "A key that is a byte string.", 7, "81 c40161 01"},
		{"key-integer", "A key of a nested map that is an integer.", 7, "81 a161 81 01 01"},
		{"code-c1", "The code c1.", 7, "81 a161 c1"},
		{"extension", "An extension of another type.", 7, "81 a161 d6 01 00000000"},
		{"extension-length", "A timestamp of one byte.", 7, "81 a161 d4 ff 00"},
		{"extension-16", "A timestamp of 16 bytes.", 7, "81 a161 d8 ff 00000000 00000000 00000000 00000000"},
		{"nanoseconds", "A timestamp with 10^9 nanoseconds.", 7, "81 a161 c7 0c ff 3b9aca00 0000000000000000"},
		{"nanoseconds-34", "A timestamp of 8 bytes with 10^9 nanoseconds.", 7, "81 a161 d7 ff ee6b280000000000"},
		{"depth", "33 levels, the map of values included.", 7, "81 a161" + lists(32)},
		{"string-length", "A string that is longer than what is left.", 7, "81 a161 dbffffffff 61"},
		{"bytes-length", "A byte string that is longer than what is left.", 7, "81 a161 c6ffffffff 61"},
		{"list-count", "A list of 2^32 - 1 elements in few bytes.", 7, "81 a161 ddffffffff 00"},
		{"map-count", "A map of 2^32 - 1 pairs in few bytes.", 7, "dfffffffff a161 00"},
	} {
		cases = append(cases, vectorCase{"malformed-payload-" + c.name, c.about, func(m *vectorMaker) {
			m.session(replaceField(c.field, c.digits))
			m.refused("malformed")
		}})
	}
	return append(cases,
		vectorCase{"malformed-payload-empty", "An empty payload that authenticates.", func(m *vectorMaker) {
			m.add(m.cookies(nil)...)
			m.refused("malformed")
		}},
		vectorCase{"payload-long-forms", "Every field in a longer encoding than needed.", func(m *vectorMaker) {
			m.session(unhex("dd 00000007 c6 00000010 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf cf 000000006955b900 cf 000000006955b93c cf 0000000069570a80" +
				"cd 0000 c5 0000 df 00000001 db 00000001 61 cf 0000000000000001"))
			m.opens(example(), oneDecoded)
		}},
		vectorCase{"payload-largest-time", "It expires at 2^61 - 1.", func(m *vectorMaker) {
			m.session(replaceField(4, "cf1fffffffffffffff"))
			p := example()
			p.expires = 1<<61 - 1
			m.opens(p, oneDecoded)
		}},
	)
}

// valueCases are values that a reader must accept (FORMAT.md, 6.5). What write writes is canonical.
func valueCases() []vectorCase {
	written := func(name, about string, values map[string]any) vectorCase {
		return vectorCase{"values-" + name, about, func(m *vectorMaker) { m.write(example(), values) }}
	}
	read := func(name, about, digits string, values map[string]any) vectorCase {
		return vectorCase{"values-" + name, about, func(m *vectorMaker) {
			m.session(example(digits).encode())
			m.opens(example(), values)
		}}
	}
	integers := make(map[string]any)
	for _, n := range []int64{
		0, 127, 128, 255, 256, 65535, 65536, 1<<32 - 1, 1 << 32, 1<<53 - 1, 1 << 53, math.MaxInt64,
		-1, -32, -33, -128, -129, -32768, -32769, math.MinInt32, math.MinInt32 - 1, -1<<53 + 1, -1 << 53, math.MinInt64,
	} {
		integers[fmt.Sprint(n)] = n
	}
	integers["9223372036854775808"] = uint64(1 << 63)
	integers["18446744073709551615"] = uint64(math.MaxUint64)

	lengths := make(map[string]any)
	bytes := make(map[string]any)
	for _, n := range []int{0, 1, 31, 32, 255, 256} {
		lengths[fmt.Sprint(n)] = strings.Repeat("x", n)
		bytes[fmt.Sprint(n)] = []byte(strings.Repeat("\x00\xff", n)[:n])
	}

	times := make(map[string]any)
	for name, t := range map[string][2]int64{
		"1970":                 {0, 0},
		"1970, 1 ns":           {0, 1},
		"a second before 1970": {-1, 0},
		"1 ns before 1970":     {-1, 999999999},
		"2026":                 {exampleCreated, 0},
		"2026, 123456789 ns":   {exampleCreated, 123456789},
		"2^32 - 1":             {1<<32 - 1, 0},
		"2^32":                 {1 << 32, 0},
		"2^34 - 1, last ns":    {1<<34 - 1, 999999999},
		"2^34":                 {1 << 34, 0},
		"year 1":               {-62135596800, 0},
		"9999, last ns":        {253402300799, 999999999},
		"10^13":                {1e13, 0},
		"-10^13":               {-1e13, 0},
	} {
		times[name] = time.Unix(t[0], t[1]).UTC()
	}

	list := make([]any, 16)
	for i := range list {
		list[i] = i - 8
	}
	nestedValues := map[string]any{
		"empty": []any{map[string]any{}, []any{}, "", []byte{}, nil},
		"cart": []any{
			map[string]any{"name": "Tea", "price": 4.5, "count": 2},
			map[string]any{"name": "Kettle", "price": 39.0, "count": 1, "tags": []any{"steel", "1.7 l"}},
		},
		"list of 16": list,
		"map of 16":  manyKeys(16),
	}

	notUTF8 := map[string]any{"0": "\xff", "1": "a\xc3", "2": "\xed\xa0\x80", "3": "\x00"}
	longForms := map[string]any{
		"a": 5, "b": 5, "c": -1, "d": -1, "e": "x", "f": "x", "g": []byte("x"), "h": []any{nil}, "i": map[string]any{"k": true},
		"j": time.Unix(1, 0).UTC(), "k": time.Unix(1, 0).UTC(), "l": time.Unix(1, 0).UTC(), "m": time.Unix(1, 0).UTC(), "n": 7,
	}
	nan := math.Float64frombits(0xfff0000000000001)
	return []vectorCase{
		read("none", "No values.", "80", map[string]any{}),
		written("scalars", "One of each plain type.", map[string]any{
			"nil": nil, "true": true, "false": false, "integer": 42, "float": 1.5, "string": "Ada", "bytes": []byte{0, 1, 2},
		}),
		written("integers", "The ends of every width.", integers),
		written("floats", "Floats of 64 bits; one that is a whole number, too.", map[string]any{
			"0": 0.0, "-0": math.Copysign(0, -1), "3": 3.0, "0.1": 0.1, "largest": math.MaxFloat64, "smallest": math.SmallestNonzeroFloat64,
			"infinity": math.Inf(1), "-infinity": math.Inf(-1), "nan": nan,
		}),
		{"values-floats-32", "Floats of 32 bits.", func(m *vectorMaker) {
			m.write(example(), map[string]any{
				"0.5": float32(0.5), "0.1": float32(0.1), "largest": float32(math.MaxFloat32), "infinity": float32(math.Inf(-1)), "nan": float32(nan),
			})
			m.v.Canonical = false // where 32 bits aren't what they came from
		}},
		read("nans", "NaNs of other bits than a writer writes.", "83 a161 cbfff0000000000001 a162 cb7fffffffffffffff a163 caff800001",
			map[string]any{"a": math.NaN(), "b": math.NaN(), "c": math.NaN()}),
		written("strings", "Strings around the lengths where the code changes.", lengths),
		written("text", "Text beyond ASCII.", map[string]any{
			"": "the empty key", "ä": "größer ≥ 店 😀", "__proto__": "a key like others", "a\u0000b": "\u0000\r\n\"\\;=,",
		}),
		written("not-utf-8", "Strings that aren't UTF-8.", notUTF8),
		{"values-key-not-utf-8", "Keys that aren't UTF-8. What they hold isn't said: JSON can't.", func(m *vectorMaker) {
			m.write(example(), map[string]any{"\xff": 1, "\xfe": 2, "a": 3})
			m.v.Expect.Values, m.v.Canonical = nil, false
		}},
		written("bytes", "Byte strings around the lengths where the code changes.", bytes),
		written("times", "Times around the seconds where the form changes, before 1970, and beyond what some languages hold.", times),
		written("nested", "Lists and maps in each other.", nestedValues),
		written("lists-of-15", "The longest list with a short header.", map[string]any{"15": list[:15], "16": list}),
		written("map-of-15", "The largest map with a short header.", manyKeys(15)),
		written("map-of-16", "The smallest map with a 16-bit header.", manyKeys(16)),
		written("map-of-300", "A large map.", manyKeys(300)),
		written("order", "Keys in the order of their bytes, which isn't that of UTF-16, of length, or of the alphabet.", map[string]any{
			"😀": 1, "～": 2, "é": 3, "z": 4, "Z": 5, "a": 6, "aa": 7, "": 8, "10": 9, "9": 10,
		}),
		written("depth-32", "32 levels, the map of values included.", map[string]any{"a": nested(31)}),
		read("long-forms", "Values in longer encodings than needed.", "8e"+
			"a161 cc05 a162 cf0000000000000005 a163 d0ff a164 d3ffffffffffffffff"+
			"a165 d90178 a166 db0000000178 a167 c6 00000001 78 a168 dd 00000001 c0 a169 df 00000001 da0001 6b c3"+
			"a16a d7ff0000000000000001 a16b c70cff00000000 0000000000000001 a16c c8000cff00000000 0000000000000001 a16d c900000004ff00000001"+
			"a16e d30000000000000007", maps.Clone(longForms)),
	}
}
