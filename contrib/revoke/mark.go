package revoke

import "encoding/binary"

// markKey is the session key of the mark. The mark says, for everything by which the session can be ended, which pos was
// known before the credentials were checked: the session is over as soon as a greater one is known.
//
//	mark = version pos-of-all { key[16] pos }     pos as uvarint, so that a 0, the usual one, takes a byte
//
// It names keys, not positions in Config.Keys, so that servers with other Keys compare the right ones, and can look up
// what they wouldn't know how to find in the session.
const (
	markKey     = "_revoke"
	markVersion = 1
)

// A claim is one thing by which a session can be ended.
type claim struct {
	key    Key
	pos    uint64 // it is over if a greater one is known
	marked bool   // else it is over if it was created before Entry.Before
	final  bool   // a value of Config.NeverReused: no pos ends what was created Config.MaxLifetime after Entry.Before
}

// appendMark encodes claims; the first is that of everybody.
func appendMark(b []byte, claims []claim) []byte {
	b = append(b, markVersion)
	b = binary.AppendUvarint(b, claims[0].pos)
	for _, c := range claims[1:] {
		b = append(b, c.key[:]...)
		b = binary.AppendUvarint(b, c.pos)
	}
	return b
}

// parseMark appends to claims what appendMark encoded, that of everybody first, or returns nil: then there is no mark.
func parseMark(claims []claim, b []byte) []claim {
	if len(b) == 0 || b[0] != markVersion {
		return nil
	}
	c := claim{key: keyOfAll, marked: true}
	for b = b[1:]; ; {
		pos, n := binary.Uvarint(b)
		if n <= 0 {
			return nil
		}
		c.pos = pos
		claims, b = append(claims, c), b[n:]
		if len(b) == 0 {
			return claims
		}
		if len(b) < len(c.key) {
			return nil
		}
		b = b[copy(c.key[:], b):]
	}
}
