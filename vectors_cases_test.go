package cookiesession_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// The values that cases have that are about something else.
const oneValue = "81 a161 01"

var oneDecoded = map[string]any{"a": 1}

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

// otherID is the ID of another session.
var otherID = unhex("b0b1b2b3b4b5b6b7 b8b9babbbcbdbebf")

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
			payload := slices.Concat([]byte{0x92}, packBin(exampleID), packTime(m.v.Now))
			m.add(quoted(splitToken(m.v.Name+".lease", m.token(currentKey, "lease", payload))...)...)
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
			payload := slices.Concat([]byte{0x92}, packBin(exampleID), packTime(m.v.Now), []byte{0})
			m.add(splitToken(m.v.Name+".lease", m.token(currentKey, "lease", payload))...)
			m.v.Expect.Lease = "malformed"
		}),
		opensAt("lease-malformed-before-torn", "A lease that breaks the format, and another that is torn.", func(m *vectorMaker, p *sessionPayload) {
			m.v.IdleTimeout = idle
			payload := slices.Concat([]byte{0x92}, packBin(exampleID), packTime(m.v.Now), []byte{0})
			m.add(splitToken(m.v.Name+".lease", m.token(currentKey, "lease", payload))...)
			m.add(splitToken(m.v.Name+".lease", m.token(currentKey, "lease", payload), 28)[0])
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
			c := leaseCookies(m, m.v.Now, 28)
			m.add(slices.Repeat([]string{m.v.Name + ".lease.8=x"}, 31)...)
			m.add(c[1], m.v.Name+".lease.8=x", m.v.Name+".lease.8=x", c[0])
		}),
		opensAt("lease-combinations", "Two cookies 1 and three cookies 2 with the tag: part 1 changes first, so the fourth of six candidates is the lease.", func(m *vectorMaker, p *sessionPayload) {
			m.v.Now, m.v.IdleTimeout = p.sealed+2*idle, idle
			c := leaseCookies(m, m.v.Now, 28, 8)
			m.add(c[0], c[1]+"AAAA", c[1], c[2]+"AAAA", c[2], c[2]+"BBBB")
		}),
		opensAt("lease-malformed-time", "A lease seen at 2^61.", func(m *vectorMaker, p *sessionPayload) {
			m.v.IdleTimeout = idle
			payload := slices.Concat([]byte{0x92}, packBin(exampleID), unhex("cf2000000000000000"))
			m.add(splitToken(m.v.Name+".lease", m.token(currentKey, "lease", payload))...)
			m.v.Expect.Lease = "malformed"
		}),
		opensAt("lease-malformed-three", "A lease of three elements.", func(m *vectorMaker, p *sessionPayload) {
			m.v.IdleTimeout = idle
			payload := slices.Concat([]byte{0x93}, packBin(exampleID), packTime(m.v.Now), []byte{0})
			m.add(splitToken(m.v.Name+".lease", m.token(currentKey, "lease", payload))...)
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

// leaseCookies seals a lease of the example's session, and splits it. The cookies aren't added.
func leaseCookies(m *vectorMaker, seen int64, cuts ...int) []string {
	payload := slices.Concat([]byte{0x92}, packBin(exampleID), packTime(seen))
	return splitToken(m.v.Name+".lease", m.token(currentKey, "lease", payload), cuts...)
}

// dotsOrigin is an origin whose tag is "..........8".
var dotsOrigin = unhex("fbefbefbefbefbef")

var exampleSecret = unhex("00112233445566778899aabbccddeeff")

// csrfToken returns a token of a CSRF secret (FORMAT.md, 6.6).
func csrfToken(secret []byte) string {
	token := unhex("0f1e2d3c4b5a69788796a5b4c3d2e1f0")
	for i, mask := range token {
		token = append(token, mask^secret[i])
	}
	return textEncoding.EncodeToString(token)
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
		{"depth-maps", "33 levels, all of them maps.", 7, strings.Repeat("81 a161", 32) + "80"},
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
		vectorCase{"payload-long-array", "An array whose count has 16 bits.", func(m *vectorMaker) {
			m.session(replaceField(0, "dc 0007"))
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
		read("depth-32-maps", "32 levels, all of them maps.", strings.Repeat("81 a161", 31)+"80", map[string]any{"a": nestedMaps(31)}),
		read("times-long-forms", "Times of 8 bytes whose length is told in 1, 2 and 4 bytes, and one of 12 in 4.",
			"84 a161 c708ff0000000400000001 a162 c80008ff0000000400000001 a163 c900000008ff0000000400000001 a164 c90000000cff00000001 0000000000000001",
			map[string]any{"a": time.Unix(1, 1).UTC(), "b": time.Unix(1, 1).UTC(), "c": time.Unix(1, 1).UTC(), "d": time.Unix(1, 1).UTC()}),
		read("long-forms", "Values in longer encodings than needed.", "8e"+
			"a161 cc05 a162 cf0000000000000005 a163 d0ff a164 d3ffffffffffffffff"+
			"a165 d90178 a166 db0000000178 a167 c6 00000001 78 a168 dd 00000001 c0 a169 df 00000001 da0001 6b c3"+
			"a16a d7ff0000000000000001 a16b c70cff00000000 0000000000000001 a16c c8000cff00000000 0000000000000001 a16d c900000004ff00000001"+
			"a16e d30000000000000007", maps.Clone(longForms)),
	}
}
