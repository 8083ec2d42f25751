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
// values have been put: s is compared by time, to the second, for a value that comes later.
func (b Login) Keep(s *cookiesession.Session) {
	if b.list == nil {
		panic("revoke: Keep of a Login that Begin didn't return")
	}
	claims := []claim{{key: keyOfAll}}
	for _, name := range b.list.config.Keys {
		if key, ok := keyOfValue(name, s.Get(name)); ok {
			claims = append(claims, claim{key: key})
		}
	}
	for i := range claims {
		// What came since Begin ends this session. The pos before it is forgotten, and a 0 is below every one.
		if e := b.list.entries.lookup(&claims[i].key); e.seq <= b.applied {
			claims[i].pos = e.Pos
		}
	}
	s.Put(markKey, appendMark(nil, claims))
}
