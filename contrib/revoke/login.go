package revoke

import "github.com/seed-50e21e88/cookiesession"

// A Login is what was known when somebody began to log in. [List.Begin] makes one.
type Login struct {
	list    *List
	applied uint64
}

// Begin must be called before the credentials are checked, or anything is read that a revocation follows, and Keep after
// Regenerate. A revocation in between, of a password that was changed meanwhile, then ends the new session too.
func (l *List) Begin() Login { return Login{l, l.entries.applied.Load()} }

// Keep puts into s what revocations are compared with, about 20 bytes for each of Config.Keys. Call it after their
// values have been put: s is compared by time, to the second, for a value that comes later. It forgives what ended before
// Begin, except for values of Config.NeverReused: if such a one has ended, s is over already, and [List.Revoked] says so.
// Keep again, after a second factor for instance, goes by what ended before the new Begin, but leaves a session in that
// EndOthers has spared.
func (b Login) Keep(s *cookiesession.Session) {
	if b.list == nil {
		panic("revoke: Keep of a Login that Begin didn't return")
	}
	claims := []claim{{key: keyOfAll, pos: b.forgiven(keyOfAll)}}
	for _, name := range b.list.config.Keys {
		key, ok := keyOfValue(name, s.Get(name))
		switch {
		case !ok:
		case b.list.neverReused(name):
			claims = append(claims, claim{key: key, pos: b.spared(s, key)})
		default:
			claims = append(claims, claim{key: key, pos: b.forgiven(key)})
		}
	}
	s.Put(markKey, appendMark(nil, claims))
}

// spared returns the pos up to which s may have a value of Config.NeverReused: by the mark that it has, which may be of
// EndOthers, or since the value has come back.
func (b Login) spared(s *cookiesession.Session, key Key) (pos uint64) {
	mark, _ := s.Get(markKey).([]byte)
	if c := claimOf(parseMark(nil, mark), key); c != nil {
		pos = c.pos
	}
	if e := b.list.entries.lookup(&key); b.list.comesBack(e.Before, s.CreatedAt()) {
		pos = max(pos, e.Pos)
	}
	return pos
}

// forgiven returns the pos up to which the login is good. What came since Begin ends it. The pos before that is forgotten,
// and a 0 is below every one.
func (b Login) forgiven(key Key) uint64 {
	if e := b.list.entries.lookup(&key); e.seq <= b.applied {
		return e.Pos
	}
	return 0
}
