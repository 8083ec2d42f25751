package main

// Equivalent mutations change nothing that a test of behaviour could see. The reason holds for all of the changes.
var equivalents = []struct {
	function, reason string
	changes          []string
}{
	{"base64dot.decode", "the length of out follows from that of src, and the slower loop takes what the faster leaves", []string{
		"len(src) >= 8 && len(out) >= 8 → false",
		"len(src) >= 8 → len(src) > 8",
		"len(src) >= 8 → len(src) >= 8-1",
		"len(out) >= 8 → len(out) > 8",
		"len(src) >= 4 → len(src) >= 4-1",
		"len(out) >= 3 → len(out) >= 3-1",
	}},
	{"cookiename.Parse", "parseKind says the same", []string{`suffix == "" → false`}},
	{"cookiename.ParseTag", "it is zero there", []string{"o → zero"}},
	{"keyfile.(*parser).time", "an empty text is no time either", []string{"!ok → false"}},
	{"value.sizes", "skipLong says the same, more slowly", []string{
		"c >= 0xa0 && c < 0xc0 → false",
		"c >= 0xa0 → c > 0xa0",
		"s[c] = 1 + uint8(c&0x1f) → nothing",
	}},
	{"value.sizes", "the case before takes it", []string{"c < 0xc0 → c <= 0xc0"}},
	{"value.decodeScalar", "a length of 0 says that it doesn't fit, too, and the reason is as without one", []string{
		"ok → true", "ok → true #2", "ok → true #3", "ok → true #4", "why = otherType → nothing",
	}},
	{"(*Manager).validate", "looking for markers where none came finds none", []string{"r.names[cookiename.Ended] != 0 → true"}},
	{"value.sizes", "skipLong takes it", []string{"c < 0xc0 → c < 0xc0-1"}},
	{"value.skipElements", "skip takes it, more slowly", []string{"size > 0 → false"}},
	{"(*sealer).current", "the keys are derived once more, to the same", []string{"old != nil && old.of == r → false"}},
	{"expand", "HKDF fails for no length that is asked for", []string{"err != nil → false", "err != nil → false #2"}},
	{"unixCeil", "the zero Time is before 1970", []string{"t.IsZero() → false"}},
	{"readKeyFile", "it is closed by the collector, if late", []string{"defer file.Close() → nothing"}},
	{"storageFor", "it saves an allocation", []string{"bytes > cap(storage) → true"}},
	{"(*received).token", "no token is nil", []string{"!ok → false #2"}},
	{"(*reader).advance", "what failed refuses the payload, whatever has been read", []string{"false → true"}},
	{"(*reader).uint", "what failed refuses the payload, whatever has been read", []string{"!r.advance(n, ok && v <= most) → false"}},
	{"(*Session).setState", "it saves an allocation", []string{"st.values.changes == nil → false"}},
	{"(*Session).set", "storing what is there changes nothing", []string{"s.committed → true"}},
	{"(*flash).outcome", "nothing is unread before it is opened", []string{"!f.isOpened → false"}},
	{"(*Manager).importValues", "what failed without an error leaves nothing to report", []string{"true → false"}},
	{"keepPrivate", "it comes to the same header", []string{"len(old) == 0 → false"}},
	{"(*Manager).Save", "it saves an allocation", []string{"own != nil || s.state.special != nil → true"}},
	{"dbscjwt.text", "what the decoder has passed as a string is one", []string{"ok → true"}},
	{"(*received).holds", "it saves a search", []string{"r.firsts[first.kind] > 0 → true"}},
	{"(*Manager).noteFacts", "it saves an allocation", []string{"present != nil → true"}},
}
