package revoke

import (
	"encoding/binary"
	"hash/crc32"
)

// A file of entries is a sequence of records: an encoded entry and a checksum, in network order. The first is a header:
// magic tells the file from others, and Pos, which is random, from its predecessors.
//
// The checksum is the CRC-32C of the entries from the header to this one. So two files that have one checksum at one place
// are the same up to there. A checksum of its own entry would not show that: a file that was replaced by an older copy,
// and to which a server has put back what it knew, can have the same record at the same place and lack others before it.
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

// header returns the first record of the file with an ID.
func header(id uint64) (r records) {
	r.add(Entry{Key: magic, Pos: id})
	return r
}

func checksum(record []byte) uint32 { return binary.BigEndian.Uint32(record[EntrySize:]) }

// parseRecord returns false for what is no record behind one with the checksum before: 0 if there is none.
func parseRecord(before uint32, b []byte) (Entry, bool) {
	if len(b) != recordSize || crc32.Update(before, castagnoli, b[:EntrySize]) != checksum(b) {
		return Entry{}, false
	}
	e, err := ParseEntry(b[:EntrySize])
	return e, err == nil
}

// parseRecords appends to es the entries behind the first record of b, which is the header or was read before, and returns
// how many bytes of b the records take. What doesn't parse is passed over if a record follows. At the end it is left:
// somebody may be writing it.
func parseRecords(es []Entry, b []byte) ([]Entry, int) {
	taken := recordSize
	for at := recordSize; at+recordSize <= len(b); at += recordSize {
		if e, ok := parseRecord(checksum(b[at-recordSize:at]), b[at:at+recordSize]); ok {
			es, taken = append(es, e), at+recordSize
		}
	}
	return es, taken
}
