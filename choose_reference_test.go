package cookiesession_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// A received text is one of up to four session cookies of one name.
type receivedText struct {
	header    string
	refused   string // why nothing can be read from it, or ""
	id        string
	sealed    int64
	expires   int64
	n         string // value of the key n, which tells the texts apart
	hasToken  bool   // it has a CSRF secret
	revoked   string // what Revoked says of it: "", "revoked" or "fails"
	fromAhead bool
}

// verdict is what a Manager makes of the received texts.
type verdict struct {
	refused   string
	unchecked bool
	n         string // of the session in use
	hasToken  bool   // likewise
	ends      string // the origins that Destroy ends, sorted
	ambiguous string // those that Regenerate ends
}

// judge is what choose does, as simply as its rules can be written down: decode each text, of one ID the one that was
// sealed last, the first of equals; what isn't valid is no rival; of several that are valid none is used.
func judge(texts []receivedText, ended string, now int64) (v verdict) {
	v.ends, v.ambiguous = "[]", "[]"
	var sessions []receivedText
	alive := map[string]bool{} // by ID
	for _, text := range texts {
		if text.refused != "" {
			continue
		}
		alive[text.id] = alive[text.id] || now < text.expires
		same := func(other receivedText) bool { return other.id == text.id }
		if i := slices.IndexFunc(sessions, same); i < 0 {
			sessions = append(sessions, text)
		} else if text.sealed > sessions[i].sealed {
			sessions[i] = text
		}
	}
	if len(sessions) == 0 {
		if len(texts) > 0 {
			v.refused = texts[0].refused
		}
		return v
	}
	var eligible []receivedText
	fails := false
	for _, s := range sessions {
		reason := ""
		switch {
		case s.fromAhead:
			reason = "future"
		case now >= s.expires:
			reason = "expired"
		case s.id[:8] == ended:
			reason = "ended"
		case s.revoked == "revoked":
			reason = "revoked"
		default:
			eligible = append(eligible, s)
			fails = fails || s.revoked == "fails"
		}
		if v.refused == "" {
			v.refused = reason
		}
	}
	switch {
	case len(eligible) > 1:
		v.refused = "ambiguous"
	case fails:
		v.refused, v.unchecked = "revoked", true
	case len(eligible) == 1:
		v.refused, v.n, v.hasToken = "", eligible[0].n, eligible[0].hasToken
	}
	var origins []string
	for _, s := range sessions {
		if o := s.id[:8]; (alive[s.id] || v.n == s.n) && !slices.Contains(origins, o) {
			origins = append(origins, o)
		}
	}
	slices.Sort(origins)
	v.ends = fmt.Sprint(origins)
	if len(eligible) > 1 {
		v.ambiguous = v.ends
	}
	return v
}

// TestChoiceAgreesWithRules compares what Managers make of several session cookies with judge, for random ones.
func TestChoiceAgreesWithRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := newRing(t)
		m := newManager(t, func(c *cookiesession.Config) {
			c.Keys = ring
			c.Revoked = func(_ context.Context, s *cookiesession.Session) (bool, error) {
				if s.Get("r") == "fails" {
					return false, errors.New("no answer")
				}
				return s.Get("r") == "revoked", nil
			}
		})
		stranger := newManager(t, withKeys(newRing(t, playKey(1)))) // whose key m doesn't know
		now := time.Now().Unix()
		ids := []string{"origin01half0001", "origin01half0002", "origin02half0001", "origin03half0001"}
		seen := make(map[string]int)
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			var texts []receivedText
			var headers []string
			for i := range rnd.IntN(5) {
				text := receivedText{id: ids[rnd.IntN(len(ids))], n: fmt.Sprint(i), sealed: now - int64(rnd.IntN(3)), expires: now + 100}
				switch rnd.IntN(8) {
				case 0:
					text.refused = "malformed"
				case 1:
					text.refused = "forged"
				case 2:
					text.expires = now
				case 3:
					text.fromAhead = true
					text.sealed = now + 61
				case 4:
					text.revoked = []string{"revoked", "fails"}[rnd.IntN(2)]
				}
				var csrf []byte
				if text.hasToken = rnd.IntN(2) == 0; text.hasToken {
					csrf = bytes.Repeat([]byte{byte(i + 1)}, 16)
				}
				values := packMap("n", text.n, "r", text.revoked)
				if text.refused == "malformed" {
					values = append(values, 0)
				}
				payload := pack(packArray(7), packBytes([]byte(text.id)), packTimes(now-10, text.sealed, text.expires), rnd.IntN(2), packBytes(csrf), values)
				if text.header = m.SealPayload("session", payload); text.refused == "forged" {
					last := len(text.header) - 9
					text.header = text.header[:last] + string(text.header[last]^1|1) + text.header[last+1:]
					if rnd.IntN(2) == 0 {
						text.header, text.refused = stranger.SealPayload("session", payload), "unknown-key"
					} else if rejected(m, text.header) != "forged" {
						text.header, text.refused = cookieName+"=1", "malformed"
					}
				}
				if !slices.ContainsFunc(texts, func(other receivedText) bool { return other.header == text.header }) {
					texts, headers = append(texts, text), append(headers, text.header)
				}
			}
			ended := ""
			if rnd.IntN(3) == 0 {
				ended = ids[rnd.IntN(len(ids))][:8]
				headers = append(headers, cookieName+".ended."+textEncoding.EncodeToString([]byte(ended))+"=1")
			}
			want := judge(texts, ended, now)
			var got verdict
			s, err := m.Load(requestWith(headers...))
			var refused *cookiesession.RejectError
			if errors.As(err, &refused) {
				got.refused, got.unchecked = refused.Reason.String(), refused.Err != nil
			}
			if n, ok := s.Get("n").(string); ok {
				got.n = n
			}
			if s.IsNew() != (got.n == "") || s.Changed() || got.n == "" && !s.IsEmpty() {
				t.Fatalf("%+v: got a session that is new: %v, changed: %v, with %v", texts, s.IsNew(), s.Changed(), s.All())
			}
			s.CSRFToken()
			got.hasToken = !s.Changed() // or it would have drawn a secret
			endedBy := func(end func(*cookiesession.Session)) string {
				h, _ := bySave.answer(m, requestWith(headers...), end)
				var origins []string
				for _, line := range h["Set-Cookie"] {
					if _, tag, ok := strings.Cut(line, ".ended."); ok && !strings.Contains(line, "Max-Age=0") {
						tag, _, _ = strings.Cut(tag, "=")
						origin, err := textEncoding.DecodeString(tag)
						if err != nil {
							t.Fatal(err)
						}
						origins = append(origins, string(origin))
					}
				}
				slices.Sort(origins)
				return fmt.Sprint(origins)
			}
			got.ends = endedBy(destroy)
			got.ambiguous = endedBy(func(s *cookiesession.Session) { s.Regenerate(); s.Put("n", "new") })
			if got != want {
				t.Fatalf("%+v with marker of %q: got %+v, want %+v", texts, ended, got, want)
			}
			seen[got.refused]++
		}
		for _, reason := range []string{"", "malformed", "unknown-key", "forged", "future", "expired", "ended", "revoked", "ambiguous"} {
			if seen[reason] == 0 {
				t.Errorf("no request was %q", reason)
			}
		}
	})
}
