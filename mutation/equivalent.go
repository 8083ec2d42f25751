package main

// Equivalent mutations change nothing that a test of behaviour could see. The reason holds for all of the changes.
var equivalents = []struct {
	function, reason string
	changes          []string
}{
	{"base64dot.decode", "src tells the length of out, and the slower loop takes what the faster leaves", []string{
		"len(src) > 16 && len(out) > 12 → false",
		"len(src) > 16 → len(src) >= 16",
		"len(src) > 16 → len(src) > 16+1",
		"len(out) > 12 → len(out) >= 12",
		"len(out) > 12 → len(out) > 12+1",
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
	{"value.sizes", "the case before takes it", []string{"c < 0xc0 → c <= 0xc0", "c >= 0xcc → c >= 0xcc-1"}},
	{"value.decodeScalar", "a length of 0 says that it doesn't fit, too, and the reason is as without one", []string{
		"ok → true", "ok → true #2", "ok → true #3", "ok → true #4", "why = otherType → nothing",
	}},
	{"(*Manager).validate", "looking for markers where none came finds none", []string{
		"r.names[cookiename.Ended] != 0 → true",
	}},
	{"value.sizes", "skipLong takes it", []string{"c < 0xc0 → c < 0xc0-1"}},
	{"value.skipUnsized", "skipLong says the same, more slowly", []string{
		"c&0xf0 == 0x90 → false", "c == 0xd9 && at+1 < len(b) → false",
	}},
	{"value.Entries", "it saves an allocation", []string{"cap(storage) < 2*count → cap(storage) <= 2*count"}},
	{"value.skipEntries", "ascending says the same, more slowly", []string{"start < before → false", "start <= before → true"}},
	{"value.shortKey", "no position is negative", []string{"at >= 0 → true", "at >= 0 → at >= 0-1"}},
	{"value.shortKey", "longKey says the same, more slowly", []string{"at >= 0 → at > 0"}},
	{"(*exchange).commit", "save sees it too, under the lock", []string{"x.session.commit == uncommitted → true"}},
	{"(*sealer).current", "the keys are derived once more, to the same", []string{
		"old != nil && old.of == r → false",
	}},
	{"expand", "HKDF fails for no length that is asked for", []string{"err != nil → false", "err != nil → false #2"}},
	{"unixCeil", "the zero Time is before 1970", []string{"t.IsZero() → false"}},
	{"readKeyFile", "it is closed by the collector, if late", []string{"defer file.Close() → nothing"}},
	{"(*received).token", "no token is nil", []string{"!ok → false #2"}},
	{"newState", "it saves an allocation, too", []string{"small.token[:0] → zero"}},
	{"(*reader).advance", "what failed refuses the payload, whatever has been read", []string{"false → true"}},
	{"(*reader).uint", "what failed refuses the payload, whatever has been read", []string{
		"!r.advance(n, ok && v <= most) → false",
	}},
	{"(*Session).setState", "it saves an allocation", []string{"st.values.changes == nil → false"}},
	{"(*Session).set", "storing what is there changes nothing", []string{"s.committed → true"}},
	{"(*flash).outcome", "nothing is unread before it is opened", []string{"!f.isOpened → false"}},
	{"(*Manager).importValues", "what failed without an error leaves nothing to report", []string{"true → false"}},
	{"keepPrivate", "it comes to the same header", []string{"defaultToPrivate(h, storage) → false"}},
	{"(*Manager).Save", "it saves an allocation", []string{"own != nil || s.state.special != nil → true"}},
	{"dbscjwt.text", "what the decoder has passed as a string is one", []string{"ok → true"}},
	{"(*received).holds", "it saves a search", []string{"r.firsts[first.kind] > 0 → true"}},
	{"(*Manager).noteFacts", "it saves an allocation", []string{"present != nil → true"}},
	{"(*deviceRequest).answer", "a valid session has no such trouble", []string{
		"!st.arrived.facts.has(valid) → true",
	}},
	{"(*deviceRequest).register", "nothing depends on when a device was registered", []string{"q.now.Unix() → zero"}},
	{"(*Manager).writeDevice", "nothing depends on when a device was registered", []string{
		"now.Unix() → zero",
		"now.Unix() → zero #2",
	}},
	{"(*Manager).deleteDevices", "it saves a pass that finds nothing to delete", []string{
		"len(ended) == 0 && !logsIn → false",
	}},
	{"(*lines).putInto", "it saves an allocation", []string{"n > len(storage) → true"}},
	{"decodeText", "no token is nil, and so malformed", []string{"false → true"}},
	{"(*received).join", "nobody looks at what is refused", []string{"j → zero", "j → zero #2", "j → zero #3"}},
	{"(*buffer).release", "it bounds memory, by and large", []string{
		"cap(b.lines.buf) > keep → cap(b.lines.buf) > keep+1",
	}},
	{"(*Manager).Save", "lines that are gone aren't found again", []string{"s.state.special != nil → false"}},
	{"(*Manager).Save", "what couldn't be saved must change first, which takes delivered back", []string{
		"err == nil → true",
	}},
	{"newState", "it saves an allocation", []string{
		"len(first)/4*3 <= len(smallState{}.token) → len(first)/4*3 < len(smallState{}.token)",
	}},
	{"(*Session).pull", "to delete what isn't there changes nothing", []string{"encoded != nil → true"}},
	{"(*received).token", "whoever tries the choices stops behind the first", []string{"1 → zero"}},
	{"newState", "it saves an allocation", []string{
		`first != "" → true`, `first != "" && len(first)/4*3 <= len(smallState{}.token) → false`,
	}},
	{"(*Session).needsFlash", "what is opened after the commit isn't written", []string{"!s.committed → true"}},
	{"decodeSession", "readHead reads the same, more slowly", []string{"!ok → true"}},
	{"(*reader).bin", "what failed refuses the payload, whatever has been read", []string{
		"r.advance(n, ok && len(data) == len(dst)) → true",
	}},
	{"(*received).first", "it chooses how much storage there is", []string{"c.kind == kind → true"}},
	{"(*keyFile).waitFor", "it is stopped by the collector, if late", []string{"defer timer.Stop() → nothing"}},
	{"(*received).holds", "it saves a search", []string{"r.firsts[first.kind] > 0 → r.firsts[first.kind] >= 0"}},
	{"(*device).permits", "no session that came has the zero ID", []string{"id != sessionID{} → true"}},
	{"(*splitter).count", "nothing is left for another cookie", []string{"text > s.first → text >= s.first"}},
	{"giveBack", "a copy has the form with which it was made", []string{"r.MultipartForm == nil → true"}},
	{"(*Session).put", "the first error counts", []string{"s.mayChange(key) → true"}},
	{"(*values).read", "it saves an allocation", []string{"payload[len(payload):] → zero"}},
	{"(*derivedRing).named", "the map knows the first, too", []string{"first.id == id → false"}},
	{"mayBeSecret", "a secret is longer than what is shown, and a text that is one alone is one of a ring", []string{
		"err == nil → false",
	}},
	{"(*Session).open", "then there is nothing to report", []string{"refusals != nil → true"}},
	{"(*Manager).openDevice", "what is malformed may not pass either", []string{"ReasonMalformed → zero"}},
	{"(*Manager).openDevice", "of another kind it has no origin that fits", []string{"o.kind == c.kind → true"}},
	{"(*Session).keep", "where none came, none is found", []string{"f.isValid → true"}},
	{"(*buffer).release", "it saves an allocation", []string{
		"cap(b.session) > keep || cap(b.flash) > keep || cap(b.lines.buf) > keep → true",
	}},
	{"(*received).token", "whoever tries the choices stops behind the first", []string{"1 → zero #4"}},
	{"newState", "what doesn't fit gets memory of its own", []string{
		"len(first)/4*3 <= len(smallState{}.token) → true",
		"len(first)/4*3 <= len(smallState{}.token) → len(first)/4*3 <= len(smallState{}.token)+1",
	}},
	{"dbscjwt.Register", "it is zero there", []string{"key → zero"}},
	{"dbscjwt.compress", "a key that has been parsed is on its curve", []string{"err != nil → false"}},
	{"(*received).token", "whoever tries the choices stops behind the first", []string{"1 → zero #2"}},
	{"readTag", "nobody looks at what is refused", []string{"tag → zero #2"}},
	{"chunksOf", "the digit 0 is for no cookies either", []string{"first[0] < '1' → first[0] < '1'-1"}},
	{"(*buffer).release", "whoever takes a buffer begins at its start", []string{
		"b.session, b.flash, b.lease, b.device = b.session[:0], b.flash[:0], b.lease[:0], b.device[:0] → nothing",
	}},
	{"(*lines).sets", "a line has more than a name", []string{"len(line) > len(name) → len(line) >= len(name)"}},
	{"value.Entries", "it saves an allocation", []string{"cap(storage) < 2*count → true"}},
	{"(*reader).optionalBin", "what failed refuses the payload, whatever has been read", []string{
		"r.advance(n, ok && (len(data) == len(dst) || len(data) == 0)) → true",
	}},
	{"(*reader).bin", "nothing has the length of nothing", []string{"ok → true"}},
	{"(*Session).needsFlash", "it is opened once", []string{"!f.isOpened → true"}},
	{"(*Session).setState", "it saves an allocation", []string{"st.values.changes = st.changes[:0] → nothing"}},
	{"(*values).all", "nobody stops before the end", []string{"!yield(v.entry(i)) → false"}},
	{"(*Manager).choose", "a valid session takes back what was refused before", []string{"reason != 0 → true"}},
	{"(*Manager).choose", "only the first refusal is looked at, and it says for whom it is", []string{
		"reason == ReasonUnproven → true",
	}},
	{"(*Manager).choose", "what is refused as unproven is kept", []string{"unproven != nil → true"}},
	{"(*Manager).choose", "it saves work for one session: there is nothing else to note", []string{"found.n == 1 → false"}},
	{"(*Manager).choose", "to copy it onto itself changes nothing", []string{"chosen.data != &st.data → true"}},
	{"(*Session).view", "Revoked's copy isn't saved", []string{"s.cookies → zero"}},
	{"(*Session).view", "where none came, none is found", []string{"r.names[cookiename.Flash] != 0 → true"}},
	{"(*received).token", "no token is nil, and so malformed", []string{
		"ReasonMalformed → zero", "!ok → false", "ReasonMalformed → zero #2", "ReasonMalformed → zero #3",
	}},
	{"readTag", "no whole group ends there", []string{"len(first) < minTagged → len(first) < minTagged-1"}},
	{"readTag", "nobody looks at what is refused", []string{"tag → zero"}},
	{"readUsualHead", "readHead reads the same, more slowly", []string{
		"len(p) < end+len(csrfSecret{}) → len(p) <= end+len(csrfSecret{})",
	}},
	{"(*reader).advance", "what failed refuses the payload, whatever has been read", []string{"r.failed → false"}},
	{"receive", "nobody looks for what is kept then", []string{
		"kind == cookiename.Other → false", "continue → nothing", "kind == cookiename.Ended → false",
		"kind == cookiename.Here → false",
	}},
	{"receive", "whoever opens them stops at four, too", []string{`tag != "" → true`}},
	{"(*received).only", "whoever looks into it looks at the kind, too", []string{"c.kind == kind → true"}},
	{"cookiesNamed", "a name that counts has a semicolon before it", []string{"from = end → nothing"}},
	{"(*sealer).current", "it saves a lock", []string{"d != nil && d.of == r → false"}},
	{"(*sealer).derive", "the cipher takes every key of this length", []string{"err != nil → false"}},
	{"(*sealer).derive", "it leaves less in memory", []string{"clear(okm) → nothing"}},
	{"(*Manager).openDevice", "it saves opening it again", []string{
		"m.opened != nil → false", "slot != nil → false", "slot.Store(o) → nothing", "c.kind → zero",
		"strings.Clone(text) → zero",
		"o != nil && o.kind == c.kind && o.text == text && c.current().named(o.key.id) == o.key && !o.key.retired(now) → false",
	}},
	{"(*Manager).openDevice", "no token is nil, and so malformed", []string{"reason != 0 → false"}},
	{"(*Manager).openDevice", "nobody asks which cookie it was", []string{"refused.Cookie = c.name → nothing"}},
	{"(*Manager).writeDevice", "a valid session of which a device is asked has a permit or a key", []string{
		"s.regenerated → true #2",
	}},
	{"(*Manager).writeDevice", "the session has just been sealed with the same key", []string{
		"err != nil → false", "err → zero",
	}},
	{"(*Manager).deleteDevices", "it saves a pass that finds nothing to delete", []string{
		"!s.state.arrived.facts.has(devices) → false",
	}},
	{"(*Manager).checkChallenge", "no text has that length", []string{
		"len(text) > maxChallengeText → len(text) > maxChallengeText+1",
	}},
	{"(*deviceRequest).answer", "a valid session has no such trouble", []string{"valid → zero"}},
	{"(*deviceRequest).answer", "a session that isn't valid isn't bound", []string{
		"!st.arrived.facts.has(valid) → false #2",
	}},
	{"(*deviceRequest).grant", "it saves an allocation", []string{"defer b.release() → nothing"}},
	{"(*deviceRequest).grant", "where one can't be sealed none can", []string{
		"m.device.writeFor(&b.lines, q.now, b.device, q.s.maxAge(q.now), of) != nil → false",
		"m.proof.writeFor(&b.lines, q.now, b.device, seconds(m.config.DeviceProof), of) != nil → false",
		"!q.challenge() → false",
	}},
	{"(*Session).endedOrigins", "where several could be meant, none is valid", []string{"s.destroyed → true"}},
	{"(*Manager).pruneMarkers", "only the position counts", []string{"1 → zero"}},
}
