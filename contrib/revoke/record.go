package revoke

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
)

// A file of entries is a sequence of records: an encoded entry and a checksum, in network order. The first is a header:
// magic tells the file from others, and Pos, which is random, from its predecessors. Expires is how many entries it was
// created with, so that whoever writes to it, and has just begun, knows what another compaction would be worth.
//
// The checksum is the CRC-32C of the entries from the header to this one, as they were written. So two files that have
// one checksum at one place were written with the same up to there; bytes may have rotted since. A checksum of its own
// entry would not show that: a file that was replaced by an older copy, and to which a server has put back what it
// knew, can have the same record at the same place and lack others before it.
const recordSize = EntrySize + 4

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	magic      = Key([]byte("revocations v2\r\n"))
)

// records are encoded one after the other.
type records struct {
	encoded []byte
	sum     uint32 // checksum of the last one, here or before
}

func (r *records) add(e Entry) {
	start := len(r.encoded)
	r.encoded = e.Append(r.encoded)
	r.sum = crc32.Update(r.sum, castagnoli, r.encoded[start:])
	r.encoded = binary.BigEndian.AppendUint32(r.encoded, r.sum)
}

// newHeader returns the header of a file that is created with so many entries.
func newHeader(kept int) Entry { return Entry{Key: magic, Pos: rand.Uint64(), Expires: uint32(kept)} }

// keptBy returns how long a file was, in bytes, when it was created with that header.
func keptBy(head Entry) int64 { return (1 + int64(head.Expires)) * recordSize }

func checksum(record []byte) uint32 { return binary.BigEndian.Uint32(record[EntrySize:]) }

// parseRecord returns false for what is no record behind one with the checksum before: 0 if there is none.
func parseRecord(before uint32, b []byte) (Entry, bool) {
	if len(b) != recordSize || crc32.Update(before, castagnoli, b[:EntrySize]) != checksum(b) {
		return Entry{}, false
	}
	e, err := ParseEntry(b[:EntrySize])
	return e, err == nil
}

// parseNext parses the last record of b, behind those before it: one is enough, but with two a record passes behind one
// whose checksum has rotted. Then the entry of that one is intact, and repaired.
func parseNext(b []byte) (e Entry, repaired *Entry, ok bool) {
	last := len(b) - recordSize
	if e, ok = parseRecord(checksum(b[last-recordSize:last]), b[last:]); ok || last < 2*recordSize {
		return e, nil, ok
	}
	rotten := b[last-recordSize:][:EntrySize]
	e, ok = parseRecord(crc32.Update(checksum(b[last-2*recordSize:last-recordSize]), castagnoli, rotten), b[last:])
	if !ok {
		return e, nil, false
	}
	before, err := ParseEntry(rotten)
	return e, &before, err == nil
}

// parseRecords appends to es the entries behind the first record of b, which is the header or was read before, and
// returns how many bytes of b the records take. What doesn't parse is passed over if a record follows: that costs the
// entry whose bytes have rotted, and none if it is one checksum alone, but for that of the first record, which costs
// the next entry. At the end it is left: somebody may be writing it.
func parseRecords(es []Entry, b []byte) ([]Entry, int) {
	taken := recordSize
	for at := recordSize; at+recordSize <= len(b); at += recordSize {
		if e, repaired, ok := parseNext(b[max(at-2*recordSize, 0) : at+recordSize]); ok {
			if repaired != nil {
				es = append(es, *repaired)
			}
			es, taken = append(es, e), at+recordSize
		}
	}
	return es, taken
}
