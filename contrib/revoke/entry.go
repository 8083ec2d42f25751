package revoke

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
)

// A Key names what an [Entry] revokes: a digest, so that no engine holds names of users.
type Key [16]byte

// String returns the first digits of the key, enough to tell two apart in a log.
func (k Key) String() string { return hex.EncodeToString(k[:4]) }

// An Entry says that the sessions which fall under Key are over, if they began before it. Of two entries with one Key
// the greater of each field holds, so entries may be added twice and in any order.
type Entry struct {
	Key     Key
	Pos     uint64 // orders the entries of a key, in microseconds since 1970 or above; the engine gives it
	Before  uint32 // Unix seconds: sessions without a mark that were created earlier are over
	Expires uint32 // Unix seconds: every session that the entry can concern has expired
}

// EntrySize is the length of an encoded [Entry] in bytes.
const EntrySize = 32

// Append appends the encoded entry, EntrySize bytes, to b: the key, then Pos, Before and Expires in network order.
func (e Entry) Append(b []byte) []byte {
	b = append(b, e.Key[:]...)
	b = binary.BigEndian.AppendUint64(b, e.Pos)
	b = binary.BigEndian.AppendUint32(b, e.Before)
	return binary.BigEndian.AppendUint32(b, e.Expires)
}

// ParseEntry decodes what [Entry.Append] appended. The error says that b doesn't have EntrySize bytes.
func ParseEntry(b []byte) (e Entry, err error) {
	if len(b) != EntrySize {
		return e, errors.New("revoke: an entry must have 32 bytes")
	}
	copy(e.Key[:], b)
	e.Pos = binary.BigEndian.Uint64(b[16:])
	e.Before = binary.BigEndian.Uint32(b[24:])
	e.Expires = binary.BigEndian.Uint32(b[28:])
	return e, nil
}

// Join returns the greater of each field of two entries with one key.
func (e Entry) Join(other Entry) Entry {
	e.Pos = max(e.Pos, other.Pos)
	e.Before = max(e.Before, other.Before)
	e.Expires = max(e.Expires, other.Expires)
	return e
}

// Forgotten reports whether an engine may drop the entry at a time in Unix seconds: a minute after Expires, since a
// server whose clock is behind must not hold what others have forgotten, or it would refuse logins of that minute.
func (e Entry) Forgotten(now int64) bool { return now >= int64(e.Expires)+clockSlack }

// clockSlack is by how many seconds clocks of servers may differ.
const clockSlack = 60
