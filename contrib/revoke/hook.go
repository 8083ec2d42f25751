package revoke

import (
	"context"
	"slices"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// Revoked is for [cookiesession.Config].Revoked. It looks into memory only. The error is ErrStale if the list is older
// than Config.MaxStale, unless Config.ServeStale or the request came through [List.Guard] in time. A session that is
// known to be over is over even then.
func (l *List) Revoked(ctx context.Context, s *cookiesession.Session) (bool, error) {
	// First, or the list could get fresh after over has looked: with an entry that ends s, and that over has missed.
	stale := l.stale() && ctx.Value(passed{l}) == nil
	var storage [8]claim
	claims := l.claims(storage[:0], s)
	if l.over(claims, s.CreatedAt(), time.Now()) {
		return true, nil
	}
	if stale {
		return false, ErrStale
	}
	return false, nil
}

// claims appends everything by which s can be ended. Everybody's comes first, then the session's own.
func (l *List) claims(claims []claim, s *cookiesession.Session) []claim {
	mark, _ := s.Get(markKey).([]byte)
	marked := parseMark(claims, mark)
	if marked != nil {
		claims = marked
	} else {
		claims = append(claims, claim{key: keyOfAll})
	}
	claims = append(claims, claim{key: keyOfSession(s.ID()), marked: true}) // no pos excuses what was ended by its ID

	var unmarked, byTime string // a key whose value lacks a mark, and what reaches the session by time therefore
	for _, name := range l.config.Keys {
		key, ok := keyOfValue(name, s.Get(name))
		if !ok {
			continue
		}
		final := l.neverReused(name)
		if c := claimOf(claims, key); c != nil {
			c.final = final
			continue
		}
		claims = append(claims, claim{key: key, marked: final, final: final}) // a final one needs no mark
		switch {
		case marked != nil:
		case !final:
			unmarked, byTime = name, "it is"
		case unmarked == "":
			unmarked, byTime = name, "for EndAll it is"
		}
	}
	if unmarked != "" {
		l.noteUnmarked(unmarked, byTime)
	}
	return claims
}

func (l *List) neverReused(name string) bool { return slices.Contains(l.config.NeverReused, name) }

// claimOf returns the claim with a key, or nil.
func claimOf(claims []claim, key Key) *claim {
	for i := range claims {
		if claims[i].key == key {
			return &claims[i]
		}
	}
	return nil
}

// comesBack reports whether a session of that time may begin with a value of Config.NeverReused whose entry has
// that Before. The entry is kept until every session that may not has expired, so that none is let in later.
func (l *List) comesBack(before uint32, created time.Time) bool {
	lifetime := (l.config.MaxLifetime + time.Second - 1) / time.Second
	return created.Unix() >= int64(before)+int64(lifetime)
}

// over reports whether one of the claims is.
func (l *List) over(claims []claim, created, now time.Time) bool {
	if l.entries.count.Load() == 0 {
		return false
	}
	for i := range claims {
		e := l.entries.lookup(&claims[i].key)
		switch {
		case e.Pos == 0 || int64(e.Expires) <= now.Unix():
		case claims[i].final && l.comesBack(e.Before, created):
		case claims[i].marked && e.Pos > claims[i].pos, !claims[i].marked && created.Unix() < int64(e.Before):
			return true
		}
	}
	return false
}

// noteUnmarked says once that revocations, or EndAll's, reach a session by the second only.
func (l *List) noteUnmarked(name, byTime string) {
	l.mu.Lock()
	first := !l.unmarked
	l.unmarked = true
	l.mu.Unlock()
	if first {
		l.note(note{text: "revoke: a session has a value for key " + name + " but no mark, so " + byTime + " compared by time only: unless it is older than this module, its login lacks Begin and Keep"})
	}
}
