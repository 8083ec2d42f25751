package cookiesession_test

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// The values that cases have that are about something else.
const oneValue = "81 a161 01"

var oneDecoded = map[string]any{"a": 1}

var (
	otherID       = unhex("b0b1b2b3b4b5b6b7 b8b9babbbcbdbebf") // of another session
	exampleSecret = unhex("00112233445566778899aabbccddeeff")  // for CSRF tokens
)

// cookieCases are about FORMAT.md, 2 and 5: names, texts, splitting, joining.
func cookieCases() []vectorCase {
	return []vectorCase{
		{"cookie-none", "No cookie at all.", func(*vectorMaker) {}},
		{"cookie-other-names", "Cookies whose names only look like the session's.", func(m *vectorMaker) {
			value := strings.TrimPrefix(m.cookies(example(oneValue).encode())[0], m.v.Name)
			m.add("__Host-sessions"+value, "__host-session"+value, "session"+value, "__Host-session.0"+value, "__Host-session.9"+value,
				"__Host-session.flash.1"+value, "__Host-session.x"+value)
		}},
		{"torn-space-before-dot", "Cookie 1 has a space in its name, so it isn't cookie 1.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode(), 28)
			m.add(c[0], strings.Replace(c[1], ".1=", " .1=", 1))
			m.refused("torn")
		}},
		{"cookie-one", "One cookie. What surrounds it isn't the session's.", func(m *vectorMaker) {
			m.add("theme=dark")
			m.write(example(), map[string]any{"user": "Ada", "views": 3})
			m.add("lang=en")
		}},
		{"cookie-two", "A text that doesn't fit into one cookie, as the writer splits it.", func(m *vectorMaker) {
			m.write(example(), map[string]any{"long": strings.Repeat("0123456789abcdef", 200)})
		}},
		{"cookie-two-early", "Two cookies, the first with the fewest characters allowed: a reader accepts any splitting.", func(m *vectorMaker) {
			m.session(example(oneValue).encode(), 28)
			m.opens(example(), oneDecoded)
		}},
		{"cookie-nine", "Nine cookies, the most there are. The last holds two characters of text.", func(m *vectorMaker) {
			m.session(example("81 a16e a23132").encode(), 28, 4, 4, 8, 4, 12, 4, 68)
			m.opens(example(), map[string]any{"n": "12"})
		}},
		{"cookie-any-order", "Three cookies in another order, in two Cookie lines, with tabs and without spaces.", func(m *vectorMaker) {
			payload := example(oneValue).encode()
			c := m.cookies(payload, 32, 40)
			m.v.Cookie = []string{c[2] + ";a=b;\t" + c[0] + " ; ", "x;;" + strings.Replace(c[1], "=", " =", 1) + "\t"}
			m.opens(example(), oneDecoded)
		}},
		{"cookie-white-space", "Tabs and spaces around pairs and behind names.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode(), 28)
			m.v.Cookie = []string{" \t" + strings.Replace(c[0], "=", "\t=", 1) + "\t ;\t \t" + strings.Replace(c[1], "=", " \t =", 1)}
			m.opens(example(), oneDecoded)
		}},
		{"cookie-stale-parts", "Cookies beyond the count in cookie 0 are left over from a larger session.", func(m *vectorMaker) {
			stale := m.cookies(example(oneValue).encode(), 28, 40)
			m.session(example("80").encode())
			m.add(stale[1:]...)
			m.opens(example(), map[string]any{})
		}},
		{"cookie-parts-only", "Numbered cookies without a cookie 0 are nothing.", func(m *vectorMaker) {
			m.add(m.cookies(example(oneValue).encode(), 28, 40)[1:]...)
		}},
		{"cookie-twice", "The same cookie twice is one candidate.", func(m *vectorMaker) {
			m.session(example(oneValue).encode())
			m.add(m.v.Cookie[0])
			m.opens(example(), oneDecoded)
		}},
		{"cookie-quoted", "Values in quotes, beside others that a client adds, as Java's CookieManager sends them.", func(m *vectorMaker) {
			c := quoted(m.cookies(example(oneValue).encode(), 28, 40)...)
			m.add(`$Version="1"`, c[0], `$Path="/"`, c[1], `$Path="/"`, c[2], `$Path="/"`)
			m.opens(example(), oneDecoded)
		}},
		{"cookie-quoted-part", "One of three values is in quotes.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode(), 28, 40)
			m.add(c[0], quoted(c[1])[0], c[2])
			m.opens(example(), oneDecoded)
		}},
		{"cookie-quoted-and-not", "The same value with and without quotes is one of four candidates, not two of five.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode())
			m.add(quoted(c...)...)
			m.add(c...)
			m.add(m.v.Name+"=1", m.v.Name+"=x", m.v.Name+`=""`)
			m.opens(example(), oneDecoded)
		}},
		{"cookie-rivals-refused", "What doesn't open is no rival, wherever it stands.", func(m *vectorMaker) {
			forged := m.cookies(example(oneValue).encode())[0]
			m.add(m.v.Name+"=", swapLetter(forged, 60))
			m.add(m.cookies(example(oneValue).encode())...)
			m.add(m.v.Name + "=1AAAA")
			m.opens(example(), oneDecoded)
		}},
		{"cookie-rival-malformed-payload", "A payload that opens but breaks the format is no rival, and nothing of it is left.", func(m *vectorMaker) {
			bad := example("de 0020", strings.Repeat("a0 c0", 16), strings.Repeat("a161 c0", 16)) // no key may come twice
			bad.csrf = exampleSecret
			m.add(m.cookies(bad.encode())...)
			m.add(m.cookies(example("82 a161 a378797a a162 02").encode())...)
			m.opens(example(), map[string]any{"a": "xyz", "b": 2})
			m.v.Expect.CSRFRefused = csrfToken(exampleSecret)
		}},
		{"cookie-part-rivals", "Two cookies 1 carry the tag; one opens.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode(), 28)
			m.add(c[0], c[1][:len(c[1])-5]+"AAAAA", c[1])
			m.opens(example(), oneDecoded)
		}},
		{"cookie-part-rivals-malformed", "Three cookies 1 carry the tag; two break the rules for parts.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode(), 28, 8)
			m.add(c[0], c[1][:len(c[1])-1], c[1][:len(c[1])-8], c[1], c[2])
			m.opens(example(), oneDecoded)
		}},
		{"cookie-same-id", "Of two cookies with one ID the one that was sealed last counts.", func(m *vectorMaker) {
			newer := example("81 a161 02")
			newer.sealed++
			m.add(m.cookies(example(oneValue).encode())...)
			m.add(m.cookies(newer.encode())...)
			m.add(m.cookies(example("81 a161 03").encode())...)
			m.opens(newer, map[string]any{"a": 2})
		}},
		{"cookie-same-id-and-time", "Of two cookies with one ID and time the first counts.", func(m *vectorMaker) {
			m.add(m.cookies(example(oneValue).encode())...)
			m.add(m.cookies(example("81 a161 02").encode())...)
			m.opens(example(), oneDecoded)
		}},
		{"cookie-secure-prefix", "A name with the prefix __Secure-.", func(m *vectorMaker) {
			m.v.Name = "__Secure-session"
			m.write(example(), oneDecoded)
		}},
		{"cookie-no-prefix", "A name without a prefix and with every special character.", func(m *vectorMaker) {
			m.v.Name = "a!#$%&'*+-^_`|~Z"
			m.write(example(), oneDecoded)
		}},
		{"ambiguous-sessions", "Two valid sessions with different IDs.", func(m *vectorMaker) {
			other := example(oneValue)
			other.id = otherID
			m.add(m.cookies(other.encode())...)
			m.add(m.cookies(example(oneValue).encode())...)
			m.refused("ambiguous")
		}},
		{"ambiguous-sessions-origin", "Two valid sessions with one origin and different IDs, one of which was regenerated.", func(m *vectorMaker) {
			other := example(oneValue)
			other.id = slices.Concat(exampleID[:8], otherID[8:])
			m.add(m.cookies(other.encode())...)
			m.add(m.cookies(example(oneValue).encode())...)
			m.refused("ambiguous")
		}},
		{"ambiguous-sessions-three", "Two valid sessions and an expired one.", func(m *vectorMaker) {
			expired, other := example(oneValue), example(oneValue)
			expired.id, expired.expires = slices.Concat(otherID[8:], otherID[:8]), exampleNow
			other.id = otherID
			for _, p := range []*sessionPayload{expired, other, example(oneValue)} {
				m.add(m.cookies(p.encode())...)
			}
			m.refused("ambiguous")
		}},
		{"ambiguous-heads", "Five distinct cookies 0, one of which opens.", func(m *vectorMaker) {
			m.add(m.cookies(example(oneValue).encode())...)
			m.add(m.v.Name+"=", m.v.Name+"=1", m.v.Name+"=x", m.v.Name+"=1A")
			m.refused("ambiguous")
		}},
		{"ambiguous-parts", "Five distinct cookies 1 with the tag, one of which opens.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode(), 28)
			m.add(append(c, c[1]+"AAAA", c[1]+"BBBB", c[1]+"CCCC", c[1]+"DDDD")...)
			m.refused("ambiguous")
		}},
		{"ambiguous-combinations", "Three cookies 1 and two cookies 2 with the tag make six candidates.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode(), 28, 8)
			m.add(append(c, c[1]+"AAAA", c[1]+"BBBB", c[2]+"AAAA")...)
			m.refused("ambiguous")
		}},
		{"ambiguous-numbered", "33 numbered cookies.", func(m *vectorMaker) {
			m.add(m.cookies(example(oneValue).encode())...)
			m.add(slices.Repeat([]string{m.v.Name + ".8=x"}, 33)...)
			m.refused("ambiguous")
		}},
		{"ambiguous-numbered-only", "33 numbered cookies without a cookie 0.", func(m *vectorMaker) {
			m.add(slices.Repeat([]string{m.v.Name + ".8=x"}, 33)...)
			m.refused("ambiguous")
		}},
		{"cookie-32-numbered", "32 numbered cookies are not too many.", func(m *vectorMaker) {
			m.session(example(oneValue).encode())
			m.add(slices.Repeat([]string{m.v.Name + ".8=x"}, 32)...)
			m.opens(example(), oneDecoded)
		}},
		{"torn-missing-part", "The last of three cookies is missing.", func(m *vectorMaker) {
			m.add(m.cookies(example(oneValue).encode(), 28, 8)[:2]...)
			m.refused("torn")
		}},
		{"torn-mixed", "Cookie 1 is another write's.", func(m *vectorMaker) {
			m.add(m.cookies(example(oneValue).encode(), 28)[0], m.cookies(example(oneValue).encode(), 28)[1])
			m.refused("torn")
		}},
		{"torn-before-malformed", "Cookie 1 is missing, cookie 2 breaks the rules for parts: the least number gives the reason.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode(), 28, 8, 8)
			m.add(c[0], c[2]+"A", c[3])
			m.refused("torn")
		}},
		{"malformed-before-torn", "Cookie 1 breaks the rules for parts, cookie 2 is missing.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue).encode(), 28, 8)
			m.add(c[0], c[1]+"A")
			m.refused("malformed")
		}},
		malformedText("empty", "An empty value.", func([]string) []string { return []string{"__Host-session="} }),
		malformedText("no-equals", "A name without a value.", func([]string) []string { return []string{"__Host-session"} }),
		malformedText("count-0", "The count is 0.", func(c []string) []string { return replace(c, "=1", "=0") }),
		malformedText("count-missing", "The text without a count.", func(c []string) []string { return replace(c, "=1", "=") }),
		malformedText("quote-before", "A quote at the beginning only.", func(c []string) []string { return replace(c, "=1", `="1`) }),
		malformedText("quote-behind", "A quote at the end only.", func(c []string) []string { return []string{c[0] + `"`} }),
		malformedText("quote-alone", "A quote and nothing else.", func([]string) []string { return []string{`__Host-session="`} }),
		malformedText("quoted-empty", "Quotes around nothing.", func([]string) []string { return []string{`__Host-session=""`} }),
		malformedText("quoted-twice", "Quotes within quotes.", func(c []string) []string { return quoted(quoted(c...)...) }),
		malformedText("quoted-space", "A space within the quotes.", func(c []string) []string { return quoted(c[0] + " ") }),
		malformedText("quoted-after-space", "A space before the quotes, so that the value doesn't begin with one.", func(c []string) []string {
			return replace(quoted(c...), "=", "= ")
		}),
		{"malformed-text-base64url", "The text in base64url, with - in the place of the dot.", func(m *vectorMaker) {
			cookie := m.cookies(example("81 a161 cd0080").encode())[0]
			foreign := strings.ReplaceAll(cookie, ".", "-")
			if foreign == cookie {
				m.t.Fatal("the text has no dot")
			}
			m.add(foreign)
			m.refused("malformed")
		}},
		malformedText("character", "A character of base64's other alphabet.", func(c []string) []string { return []string{c[0][:60] + "+" + c[0][61:]} }),
		malformedText("padding", "The text is padded.", func(c []string) []string { return []string{c[0] + "=="} }),
		malformedText("length", "The text has 4n+1 characters.", func(c []string) []string { return []string{c[0][:len(c[0])-1]} }),
		{"malformed-text-length-zeros", "A character too many, which stands for zeros.", func(m *vectorMaker) {
			c := m.cookies(example("81 a161 cc80").encode())[0]
			if (len(c)-len(m.v.Name+"=1"))%4 != 0 {
				m.t.Fatal("the text doesn't have 4n characters")
			}
			m.add(c + "A")
			m.refused("malformed")
		}},
		malformedText("unused-bits", "Bits of the last character that stand for nothing aren't 0.", func(c []string) []string {
			last := c[0][len(c[0])-1]
			return []string{c[0][:len(c[0])-1] + string(last+1)}
		}),
		{"malformed-part-0-short", "Cookie 0 of two holds 24 characters.", func(m *vectorMaker) {
			m.add(m.cookies(example(oneValue).encode(), 24)...)
			m.refused("malformed")
		}},
		{"malformed-part-0-groups", "Cookie 0 of two holds 30 characters, no whole groups of four.", func(m *vectorMaker) {
			m.add(m.cookies(example(oneValue).encode(), 30)...)
			m.refused("malformed")
		}},
		{"malformed-part-groups", "Cookie 1 of three holds 6 characters, no whole group of four.", func(m *vectorMaker) {
			m.add(m.cookies(example(oneValue).encode(), 28, 6)...)
			m.refused("malformed")
		}},
		{"malformed-part-empty", "Cookie 1 of two holds nothing but the tag.", func(m *vectorMaker) {
			c := m.cookies(example(oneValue, "").encode(), 28)
			m.add(c[0], c[1][:len(m.v.Name)+len(".1=")+4])
			m.refused("malformed")
		}},
		{"malformed-part-empty-last", "Cookie 0 of two holds the whole text, cookie 1 nothing but the tag.", func(m *vectorMaker) {
			payload := example("81 a161 cc80").encode()
			m.add(m.cookies(payload, textEncoding.EncodedLen(57+len(payload)))...)
			m.refused("malformed")
		}},
		{"malformed-reason-is-the-first", "Of candidates that don't open, the first gives the reason.", func(m *vectorMaker) {
			m.add(m.v.Name+"=1AAAA", m.cookies(example(oneValue).encode(), 28)[0])
			m.refused("malformed")
		}},
	}
}

// malformedText spoils the one cookie of a valid session.
func malformedText(name, about string, spoil func(cookies []string) []string) vectorCase {
	return vectorCase{"malformed-text-" + name, about, func(m *vectorMaker) {
		m.add(spoil(m.cookies(example("81 a161 cd0080").encode()))...) // 4n+2 characters of text
		m.refused("malformed")
	}}
}

// quoted puts the values in quotes.
func quoted(cookies ...string) []string {
	cookies = slices.Clone(cookies)
	for i, c := range cookies {
		cookies[i] = strings.Replace(c, "=", `="`, 1) + `"`
	}
	return cookies
}

func replace(cookies []string, old, text string) []string {
	return []string{strings.Replace(cookies[0], old, text, 1)}
}

// keyCases are about FORMAT.md, 3 and 4: derivation, choice of key, token.
func keyCases() []vectorCase {
	previousFirst := []vectorKey{previousKey, currentKey}
	return []vectorCase{
		{"key-scope-empty", "The scope is empty.", func(m *vectorMaker) {
			m.v.Scope = ""
			m.write(example(), oneDecoded)
		}},
		{"key-scope-utf-8", "A scope beyond ASCII: its length counts bytes.", func(m *vectorMaker) {
			m.v.Scope = "Lädchen 店"
			m.write(example(), oneDecoded)
		}},
		{"key-long", "A secret of 64 bytes.", func(m *vectorMaker) {
			m.v.Keys = []vectorKey{longKey}
			m.write(example(), oneDecoded)
		}},
		{"key-older", "Sealed by a key that has been replaced.", func(m *vectorMaker) {
			m.v.Keys = slices.Clone(previousFirst)
			m.session(example(oneValue).encode())
			m.v.Keys[1].ActivateAt = exampleNow - 1
			m.opens(example(), oneDecoded)
		}},
		{"key-choice", "The writer seals with the key that was activated last, not with one that is to come.", func(m *vectorMaker) {
			m.v.Keys = []vectorKey{currentKey, previousKey, longKey}
			m.v.Keys[0].ActivateAt = exampleSealed + 1
			m.v.Keys[2].ActivateAt = exampleSealed
			m.write(example(), oneDecoded)
		}},
		{"key-not-yet-active", "A key opens before its activation.", func(m *vectorMaker) {
			m.v.Keys = slices.Clone(previousFirst)
			m.session(example(oneValue).encode())
			m.v.Keys[0].ActivateAt = exampleNow + 1
			m.opens(example(), oneDecoded)
		}},
		{"key-retires-next", "The last second before a key's retirement.", func(m *vectorMaker) {
			m.v.Keys = slices.Clone(previousFirst)
			m.session(example(oneValue).encode())
			m.v.Keys[0].RetireAt = exampleNow + 1
			m.opens(example(), oneDecoded)
		}},
		{"unknown-key-retired", "A key's retirement is now.", func(m *vectorMaker) {
			m.v.Keys = slices.Clone(previousFirst)
			m.add(m.cookies(example(oneValue).encode())...)
			m.v.Keys[0].RetireAt = exampleNow
			m.refused("unknown-key")
		}},
		{"unknown-key-secret", "Sealed with a secret that the reader doesn't have.", func(m *vectorMaker) {
			m.v.Keys = slices.Clone(previousFirst)
			m.add(m.cookies(example(oneValue).encode())...)
			m.v.Keys = m.v.Keys[1:]
			m.refused("unknown-key")
		}},
		{"unknown-key-scope", "Sealed in another scope.", func(m *vectorMaker) {
			m.v.Scope = "shop-staging"
			m.add(m.cookies(example(oneValue).encode())...)
			m.v.Scope = "shop"
			m.refused("unknown-key")
		}},
		{"unknown-key-name", "Sealed for a cookie of another name.", func(m *vectorMaker) {
			m.v.Name = "__Host-other"
			m.add(strings.Replace(m.cookies(example(oneValue).encode())[0], "other", "session", 1))
			m.v.Name = "__Host-session"
			m.refused("unknown-key")
		}},
		{"unknown-key-purpose", "A flash token in the session cookie.", func(m *vectorMaker) {
			m.add(splitToken(m.v.Name, m.token(currentKey, "flash", example(oneValue).encode()))...)
			m.refused("unknown-key")
		}},
		{"unknown-key-separators", "Bytes moved from the scope to the purpose.", func(m *vectorMaker) {
			m.v.Scope = ""
			m.add(splitToken(m.v.Name, m.token(currentKey, "sessionshop", example(oneValue).encode()))...)
			m.v.Scope = "shop"
			m.refused("unknown-key")
		}},
		tokenCase("forged-ciphertext", "A bit of the ciphertext is changed.", "forged", 45),
		tokenCase("forged-nonce", "A bit of the nonce is changed.", "forged", 20),
		tokenCase("forged-authenticator", "A bit of the authenticator is changed.", "forged", -1),
		tokenCase("unknown-key-id", "A bit of the key ID is changed.", "unknown-key", 16),
		tokenCase("malformed-version", "A bit of the version is changed.", "malformed", 0),
		{"forged-key-id", "The token names another key that the reader has.", func(m *vectorMaker) {
			m.v.Keys = slices.Clone(previousFirst)
			token := m.token(previousKey, "session", example(oneValue).encode())
			d := derive(unhex(currentKey.Secret), "session", m.v.Scope, m.v.Name)
			copy(token[1:], d.id)
			m.add(splitToken(m.v.Name, token)...)
			m.refused("forged")
		}},
		{"forged-short", "57 bytes with a key ID that the reader has: an empty payload, if it authenticated.", func(m *vectorMaker) {
			token := m.token(currentKey, "session", nil)
			token[56] ^= 1
			m.add(splitToken(m.v.Name, token)...)
			m.refused("forged")
		}},
		{"malformed-short", "56 bytes.", func(m *vectorMaker) {
			m.add(splitToken(m.v.Name, m.token(currentKey, "session", nil)[:56])...)
			m.refused("malformed")
		}},
	}
}

// tokenCase changes a bit of byte i of a token, counted from the end if negative.
func tokenCase(name, about, reason string, i int) vectorCase {
	return vectorCase{name, about, func(m *vectorMaker) {
		token := m.token(currentKey, "session", example(oneValue).encode())
		token[(i+len(token))%len(token)] ^= 2
		m.add(splitToken(m.v.Name, token)...)
		m.refused(reason)
	}}
}

// rivalCases are about FORMAT.md, 5.3 and 7.1: sessions that open beside another, but aren't valid.
func rivalCases() []vectorCase {
	const idle = 1800
	other := func(change func(p *sessionPayload)) *sessionPayload {
		p := example("81 a161 02")
		p.id = otherID
		change(p)
		return p
	}
	add := func(m *vectorMaker, payloads ...*sessionPayload) {
		for _, p := range payloads {
			m.add(m.cookies(p.encode())...)
		}
	}
	// noRival has a session that isn't valid stand before one that is, and behind it.
	noRival := func(name, about string, prepare func(m *vectorMaker, rival *sessionPayload)) []vectorCase {
		return []vectorCase{
			{"rival-" + name, about, func(m *vectorMaker) {
				rival := other(func(p *sessionPayload) { prepare(m, p) })
				add(m, rival, example(oneValue))
				m.opens(example(), oneDecoded)
			}},
			{"rival-" + name + "-behind", about + " It comes second.", func(m *vectorMaker) {
				rival := other(func(p *sessionPayload) { prepare(m, p) })
				add(m, example(oneValue), rival)
				m.opens(example(), oneDecoded)
			}},
		}
	}
	return slices.Concat(
		noRival("future", "A session of another ID was sealed 61 s ahead.", func(_ *vectorMaker, p *sessionPayload) { p.sealed = exampleNow + 61 }),
		noRival("expired", "A session of another ID expires now.", func(_ *vectorMaker, p *sessionPayload) { p.expires = exampleNow }),
		noRival("not-before", "A session of another ID was created before not-before.", func(m *vectorMaker, p *sessionPayload) {
			m.v.NotBefore = exampleCreated
			p.created--
		}),
		noRival("ended", "A session of another ID has been ended.", func(m *vectorMaker, p *sessionPayload) { m.marker(p.id[:8], "1767225700") }),
		noRival("idle", "A session of another ID was used a second longer ago than the idle timeout.", func(m *vectorMaker, p *sessionPayload) {
			m.v.IdleTimeout = exampleNow - exampleSealed
			p.sealed--
		}),
		[]vectorCase{
			{"rival-idle-lease", "Two sessions sealed too long ago; the lease is of the second.", func(m *vectorMaker) {
				m.v.Now, m.v.IdleTimeout = exampleSealed+2*idle, idle
				add(m, other(func(*sessionPayload) {}), example(oneValue))
				m.lease(exampleID, exampleSealed+idle)
				m.opens(example(), oneDecoded)
			}},
			{"rival-none-valid", "Of sessions none of which is valid, the ID that came first gives the reason.", func(m *vectorMaker) {
				m.marker(exampleID[:8], "1767225700")
				add(m, example(oneValue), other(func(p *sessionPayload) { p.expires = exampleNow }))
				m.refused("ended")
			}},
			{"rival-none-valid-behind", "The same in the other order.", func(m *vectorMaker) {
				m.marker(exampleID[:8], "1767225700")
				add(m, other(func(p *sessionPayload) { p.expires = exampleNow }), example(oneValue))
				m.refused("expired")
			}},
			{"rival-refused-before-expired", "What opens gives the reason, though what doesn't open, for two reasons, comes before it and behind.", func(m *vectorMaker) {
				m.add(m.v.Name + "=1AAAA")
				add(m, other(func(p *sessionPayload) { p.expires = exampleNow }))
				add(m, other(func(p *sessionPayload) { p.mode = 3 }))
				m.refused("expired")
			}},
			{"rival-forged-before-malformed", "Of what doesn't open, the first gives the reason; what opens but breaks the format doesn't open.", func(m *vectorMaker) {
				token := m.token(currentKey, "session", example(oneValue).encode())
				token[45] ^= 2
				m.add(splitToken(m.v.Name, token)...)
				add(m, other(func(p *sessionPayload) { p.mode = 3 }))
				m.refused("forged")
			}},
			{"rival-malformed-before-forged", "The same in the other order.", func(m *vectorMaker) {
				token := m.token(currentKey, "session", example(oneValue).encode())
				token[45] ^= 2
				add(m, other(func(p *sessionPayload) { p.mode = 3 }))
				m.add(splitToken(m.v.Name, token)...)
				m.refused("malformed")
			}},
			{"rival-same-id-expired", "Of two states of one session the newer has expired. The older one doesn't outlive it.", func(m *vectorMaker) {
				newer := example("81 a161 02")
				newer.sealed, newer.expires = exampleSealed+1, exampleNow
				add(m, newer, example(oneValue))
				m.refused("expired")
			}},
			{"rival-same-id-expired-behind", "The same in the other order, and between them an ended session.", func(m *vectorMaker) {
				newer := example("81 a161 02")
				newer.sealed, newer.expires = exampleSealed+1, exampleNow
				ended := other(func(*sessionPayload) {})
				m.marker(ended.id[:8], "1767225700")
				add(m, example(oneValue), ended, newer)
				m.refused("expired")
			}},
			{"rival-same-id-older-expired", "Of two states of one session the older has expired.", func(m *vectorMaker) {
				older := example("81 a161 02")
				older.sealed, older.expires = exampleSealed-1, exampleNow
				add(m, older, example(oneValue))
				m.opens(example(), oneDecoded)
			}},
		},
	)
}

// validityCases are about FORMAT.md, 6.3, 6.4, 7.1 and 7.3. Each limit is met and missed by a second.
func validityCases() []vectorCase {
	const idle = 1800
	origin := exampleID[:8]
	dotsOrigin := unhex("fbefbefbefbefbef") // its tag is "..........8"
	at := func(m *vectorMaker, change func(p *sessionPayload)) *sessionPayload {
		p := example(oneValue)
		change(p)
		m.session(p.encode())
		return p
	}
	refusedAt := func(name, about, reason string, prepare func(m *vectorMaker, p *sessionPayload)) vectorCase {
		return vectorCase{name, about, func(m *vectorMaker) {
			at(m, func(p *sessionPayload) { prepare(m, p) })
			m.refused(reason)
		}}
	}
	opensAt := func(name, about string, prepare func(m *vectorMaker, p *sessionPayload)) vectorCase {
		return vectorCase{name, about, func(m *vectorMaker) {
			m.opens(at(m, func(p *sessionPayload) { prepare(m, p) }), oneDecoded)
		}}
	}
	return []vectorCase{
		opensAt("valid-clock-behind", "The writer's clock is 60 s ahead.", func(_ *vectorMaker, p *sessionPayload) {
			p.created, p.sealed = exampleNow+60, exampleNow+60
		}),
		refusedAt("future-created", "Created 61 s ahead.", "future", func(_ *vectorMaker, p *sessionPayload) { p.created = exampleNow + 61 }),
		refusedAt("future-sealed", "Sealed 61 s ahead, and expired: the first check counts.", "future", func(_ *vectorMaker, p *sessionPayload) {
			p.sealed, p.expires = exampleNow+61, exampleNow
		}),
		opensAt("valid-last-second", "It expires a second later.", func(_ *vectorMaker, p *sessionPayload) { p.expires = exampleNow + 1 }),
		refusedAt("expired", "It expires now; that it was created before not-before is checked later.", "expired", func(m *vectorMaker, p *sessionPayload) {
			p.expires, m.v.NotBefore = exampleNow, exampleNow
		}),
		opensAt("valid-not-before", "Created at not-before.", func(m *vectorMaker, _ *sessionPayload) { m.v.NotBefore = exampleCreated }),
		refusedAt("revoked-not-before", "Created a second before not-before, and ended too.", "revoked", func(m *vectorMaker, _ *sessionPayload) {
			m.v.NotBefore = exampleCreated + 1
			m.marker(origin, "1767225700")
		}),
		refusedAt("ended", "A marker for the origin, and idle too.", "ended", func(m *vectorMaker, _ *sessionPayload) {
			m.v.IdleTimeout = exampleNow - exampleSealed - 1
			m.marker(origin, "1767225700")
		}),
		refusedAt("ended-empty", "A marker refuses whatever its value is.", "ended", func(m *vectorMaker, _ *sessionPayload) { m.marker(origin, "") }),
		refusedAt("ended-quoted", "A marker with a value in quotes.", "ended", func(m *vectorMaker, _ *sessionPayload) { m.marker(origin, `"1767225700"`) }),
		refusedAt("ended-no-value", "A marker without an equals sign.", "ended", func(m *vectorMaker, _ *sessionPayload) {
			m.add(m.v.Name + ".ended." + textEncoding.EncodeToString(origin))
		}),
		{"ended-dots", "A marker whose tag is all dots but for the last character.", func(m *vectorMaker) {
			p := example(oneValue)
			p.id = slices.Concat(dotsOrigin, exampleID[8:])
			m.session(p.encode())
			m.marker(dotsOrigin, "1767225700")
			m.refused("ended")
		}},
		{"valid-marker-base64url", "A name whose tag is the origin in base64url, which makes it no marker.", func(m *vectorMaker) {
			p := example(oneValue)
			p.id = slices.Concat(dotsOrigin, exampleID[8:])
			m.session(p.encode())
			m.add(m.v.Name + ".ended.----------8=1767225700")
			m.opens(p, oneDecoded)
		}},
		opensAt("valid-other-markers", "Markers of other origins, and names that aren't markers: too long, not strict, another case.", func(m *vectorMaker, _ *sessionPayload) {
			m.marker(exampleID[8:], "1767225700")
			m.marker(exampleID, "1767225700")
			m.add(m.v.Name+".ended.oKGio6Slpqd=1767225700", m.v.Name+".Ended.oKGio6Slpqc=1767225700", m.v.Name+".ended=1767225700")
		}),
		opensAt("valid-idle-limit", "Sealed as long ago as the idle timeout.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+idle, idle
		}),
		refusedAt("idle", "Sealed a second longer ago than the idle timeout.", "idle", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+idle+1, idle
		}),
		opensAt("valid-persistent", "Mode 1.", func(_ *vectorMaker, p *sessionPayload) { p.mode = 1 }),
		refusedAt("idle-persistent", "Mode 1 is no protection from the idle timeout.", "idle", func(m *vectorMaker, p *sessionPayload) {
			p.mode, m.v.Now, m.v.IdleTimeout = 1, p.sealed+idle+1, idle
		}),
		opensAt("valid-remembered", "Mode 2 is exempt from the idle timeout.", func(m *vectorMaker, p *sessionPayload) {
			p.mode, m.v.Now, m.v.IdleTimeout = 2, p.sealed+idle+1, idle
		}),
		{"lease", "A lease, as the writer writes it, keeps an idle session alive.", func(m *vectorMaker) {
			m.v.IdleTimeout = idle
			m.write(example(), oneDecoded)
			m.writeLease(exampleSealed + idle)
			m.v.Now = exampleSealed + 2*idle
		}},
		refusedAt("idle-lease", "A lease that is a second too old.", "idle", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle+1, idle
			m.lease(exampleID, p.sealed+idle)
		}),
		opensAt("lease-newest", "Of several leases the newest of this session counts; what doesn't open is no harm.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle, idle
			m.add(m.v.Name + ".lease=1AAAA")
			m.lease(exampleID, p.sealed+idle)
			m.lease(exampleID, p.sealed+1)
		}),
		opensAt("lease-quoted", "A lease in quotes.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle, idle
			m.add(quoted(m.leaseCookies(leasePayload(exampleID, m.v.Now))...)...)
		}),
		opensAt("lease-ahead", "A lease that is 60 s ahead.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle, idle
			m.lease(exampleID, p.sealed+2*idle+60)
		}),
		refusedAt("idle-lease-ahead", "A lease that is 61 s ahead doesn't count.", "idle", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle, idle
			m.lease(exampleID, p.sealed+2*idle+61)
		}),
		refusedAt("idle-lease-foreign", "The lease of a session with the same origin, but another ID.", "idle", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle, idle
			m.lease(slices.Concat(origin, origin), p.sealed+2*idle)
		}),
		opensAt("lease-malformed", "A lease that breaks the format only makes the session look older.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+idle, idle
			m.add(m.leaseCookies(append(leasePayload(exampleID, m.v.Now), 0))...)
			m.v.Expect.Lease = "malformed"
		}),
		opensAt("lease-malformed-before-torn", "A lease that breaks the format, and another that is torn.", func(m *vectorMaker, p *sessionPayload) {
			m.v.IdleTimeout = idle
			payload := append(leasePayload(exampleID, m.v.Now), 0)
			m.add(m.leaseCookies(payload)...)
			m.add(m.leaseCookies(payload, 28)[0])
			m.v.Expect.Lease = "malformed"
		}),
		opensAt("lease-older", "A lease from before the session was sealed doesn't make it older.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+idle, idle
			m.lease(exampleID, p.sealed-1)
		}),
		opensAt("lease-fourth", "The fourth of six cookies 0 is the lease. Too many refuse nothing.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle, idle
			for _, value := range []string{"", "1", "1AAAA"} {
				m.add(m.v.Name + ".lease=" + value)
			}
			m.lease(exampleID, m.v.Now)
			m.add(m.v.Name+".lease=x", m.v.Name+".lease=y")
		}),
		opensAt("lease-32-numbered", "The 32nd of 34 numbered cookies is the lease's.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle, idle
			c := m.leaseCookies(leasePayload(exampleID, m.v.Now), 28)
			m.add(slices.Repeat([]string{m.v.Name + ".lease.8=x"}, 31)...)
			m.add(c[1], m.v.Name+".lease.8=x", m.v.Name+".lease.8=x", c[0])
		}),
		opensAt("lease-combinations", "Two cookies 1 and three cookies 2 with the tag: part 1 changes first, so the fourth of six candidates is the lease.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle, idle
			c := m.leaseCookies(leasePayload(exampleID, m.v.Now), 28, 8)
			m.add(c[0], c[1]+"AAAA", c[1], c[2]+"AAAA", c[2], c[2]+"BBBB")
		}),
		opensAt("lease-malformed-time", "A lease seen at 2^61.", func(m *vectorMaker, p *sessionPayload) {
			m.v.IdleTimeout = idle
			payload := slices.Concat([]byte{0x92}, packBin(exampleID), unhex("cf2000000000000000"))
			m.add(m.leaseCookies(payload)...)
			m.v.Expect.Lease = "malformed"
		}),
		opensAt("lease-malformed-three", "A lease of three elements.", func(m *vectorMaker, p *sessionPayload) {
			m.v.IdleTimeout = idle
			payload := slices.Concat([]byte{0x93}, packBin(exampleID), packTime(m.v.Now), []byte{0})
			m.add(m.leaseCookies(payload)...)
			m.v.Expect.Lease = "malformed"
		}),
		opensAt("csrf", "A token of the session's CSRF secret, and the token with another last bit.", func(m *vectorMaker, p *sessionPayload) {
			p.csrf = exampleSecret
			m.v.Expect.CSRFToken = csrfToken(exampleSecret)
			other := slices.Clone(exampleSecret)
			other[15] ^= 1
			m.v.Expect.CSRFRefused = csrfToken(other)
		}),
		opensAt("csrf-none", "No token suits a session without a CSRF secret.", func(m *vectorMaker, _ *sessionPayload) {
			m.v.Expect.CSRFRefused = csrfToken(make([]byte, 16))
		}),
		opensAt("csrf-zero", "A CSRF secret of zeros counts as none.", func(m *vectorMaker, p *sessionPayload) {
			p.csrf = make([]byte, 16)
			m.v.Expect.CSRFRefused = csrfToken(p.csrf)
		}),
		opensAt("csrf-base64url", "A CSRF token in base64url, with - in the place of the dots.", func(m *vectorMaker, p *sessionPayload) {
			p.csrf = unhex("0011d6d3f5556677 8899aabbccddeeff") // so that there are four
			m.v.Expect.CSRFToken = csrfToken(p.csrf)
			m.v.Expect.CSRFRefused = strings.ReplaceAll(m.v.Expect.CSRFToken, ".", "-")
		}),
		opensAt("csrf-text", "A CSRF token whose text isn't strict.", func(m *vectorMaker, p *sessionPayload) {
			p.csrf = exampleSecret
			token := csrfToken(exampleSecret)
			m.v.Expect.CSRFRefused = token[:42] + string(token[42]+1)
		}),
	}
}

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
		refused("malformed-trailing", "A byte after the end.", "malformed", func(m *vectorMaker) { m.flash(append(payload(exampleNow+1), 0xc0)) }),
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

// deviceCases are those of FORMAT.md, 11.
func deviceCases() []vectorCase {
	const proofTime = 600
	origin := exampleID[:8]
	later := slices.Concat(origin, unhex("c0c1c2c3c4c5c6c7")) // another ID of the origin
	foreign := unhex("b0b1b2b3b4b5b6b7b8b9babbbcbdbebf")
	key := unhex("036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
	other := unhex("027cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978")
	device := func(id, key []byte, more ...byte) []byte {
		code := byte(0x93)
		if len(more) > 0 {
			code = 0x94
		}
		return slices.Concat([]byte{code}, packBin(id), packTime(exampleNow-60), packBin(key), more)
	}
	proof := func(origin, key []byte, expires int64) []byte {
		hash := sha256.Sum256(key)
		return slices.Concat([]byte{0x93}, packBin(origin), packBin(hash[:16]), packTime(expires))
	}
	add := func(m *vectorMaker, purpose string, origin, payload []byte) {
		m.add(splitToken(m.v.Name+"."+purpose+"."+textEncoding.EncodeToString(origin), m.token(m.v.Keys[0], purpose, payload))...)
	}
	// bound is the example's session, device-aware, and what make adds.
	bound := func(name, about, reason string, make func(m *vectorMaker)) vectorCase {
		return vectorCase{name, about, func(m *vectorMaker) {
			m.v.DeviceProof = proofTime
			p := example(oneValue)
			m.v.Payload = hex.EncodeToString(p.encode())
			m.add(splitToken(m.v.Name, m.token(m.v.Keys[0], "bound", p.encode()))...)
			if reason == "" || reason == "proven" {
				m.opens(p, oneDecoded)
				m.v.Expect.Proven = reason == "proven"
			} else {
				m.v.Payload = ""
				m.refused(reason)
			}
			make(m)
		}}
	}
	const ends = exampleNow + proofTime + 60
	return []vectorCase{
		bound("device-none", "A device-aware session alone.", "unproven", func(*vectorMaker) {}),
		bound("device-off", "A device-aware session alone, for a reader without a proof time.", "", func(m *vectorMaker) { m.v.DeviceProof = 0 }),
		bound("device-permit", "With a permit.", "", func(m *vectorMaker) { add(m, "device", origin, device(exampleID, nil)) }),
		bound("device-permit-previous", "With a permit for another ID and this one.", "", func(m *vectorMaker) {
			add(m, "device", origin, device(later, nil, packBin(exampleID)...))
		}),
		bound("device-permit-with-previous", "With a permit for this ID and another one.", "", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, nil, packBin(later)...))
		}),
		bound("device-permit-previous-foreign", "With a permit for another session, and for this one as the ID before.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(foreign, nil, packBin(exampleID)...))
		}),
		bound("device-permit-other-id", "With a permit for another ID of the origin.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(later, nil))
		}),
		bound("device-permit-foreign", "With a permit for another session under this one's tag.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(foreign, nil))
		}),
		bound("device-permit-tag", "With its permit under another tag.", "unproven", func(m *vectorMaker) {
			add(m, "device", foreign[:8], device(exampleID, nil))
		}),
		bound("device-permit-session", "A permit that was sealed for the purpose of sessions.", "unproven", func(m *vectorMaker) {
			m.add(splitToken(m.v.Name+".device."+textEncoding.EncodeToString(origin), m.token(m.v.Keys[0], "session", device(exampleID, nil)))...)
		}),
		bound("device-key", "With a key, and a proof by it.", "proven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-key-regenerated", "With a key that was registered for an earlier ID.", "proven", func(m *vectorMaker) {
			add(m, "device", origin, device(later, key))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-key-foreign", "With a key of another session under this one's tag, and a proof by it.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(foreign, key))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-key-no-proof", "With a key, and no proof.", "unproven", func(m *vectorMaker) { add(m, "device", origin, device(exampleID, key)) }),
		bound("device-proof-last-second", "The proof expires a second later.", "proven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, key, exampleNow+1))
		}),
		bound("device-proof-expired", "The proof expires now.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, key, exampleNow))
		}),
		bound("device-proof-other-key", "A proof by another key.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, other, ends))
		}),
		bound("device-proof-foreign", "A proof for another session by the same key.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(foreign[:8], key, ends))
		}),
		bound("device-proof-no-key", "A proof without its key.", "unproven", func(m *vectorMaker) { add(m, "proof", origin, proof(origin, key, ends)) }),
		bound("device-malformed-key", "A key of 32 bytes.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key[1:]))
			add(m, "proof", origin, proof(origin, key[1:], ends))
		}),
		bound("device-malformed-key-zeros", "A key of 33 zeros, which makes it no permit.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, make([]byte, 33)))
		}),
		bound("device-malformed-previous-zeros", "A permit with a second ID of zeros.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, nil, packBin(make([]byte, 16))...))
		}),
		bound("device-malformed-previous", "A key with a second ID.", "unproven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, key, packBin(later)...))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-two", "Two keys of one tag, the second of which is proven.", "proven", func(m *vectorMaker) {
			add(m, "device", origin, device(exampleID, other))
			add(m, "device", origin, device(exampleID, key))
			add(m, "proof", origin, proof(origin, key, ends))
		}),
		bound("device-fourth", "The fourth key of one tag is proven, by the fourth proof.", "proven", func(m *vectorMaker) {
			for _, k := range [][]byte{other, other, other, key} {
				add(m, "device", origin, device(exampleID, k))
			}
			for _, expires := range []int64{exampleNow - 2, exampleNow - 1, exampleNow, ends} {
				add(m, "proof", origin, proof(origin, key, expires))
			}
		}),
		bound("device-idle", "Idle, and not proven: the first check counts.", "idle", func(m *vectorMaker) { m.v.IdleTimeout = 1 }),
		bound("device-expired", "Expired, and not proven: the first check counts.", "expired", func(m *vectorMaker) { m.v.Now = 1767312000 }),
		{"device-unaware", "A session that isn't device-aware, under a proof time.", func(m *vectorMaker) {
			m.v.DeviceProof = proofTime
			p := example(oneValue)
			m.session(p.encode())
			m.opens(p, oneDecoded)
		}},
	}
}
