package revoke

import (
	"encoding/binary"
	"hash/crc32"
)

// A file of entries is a sequence of records: an encoded entry and its CRC-32C, in network order. The first is a header:
// magic tells the file from others, and Pos, which is random, from its predecessors.
const recordSize = EntrySize + 4

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	magic      = Key([]byte("revocations v1\r\n"))
)

func appendRecord(b []byte, e Entry) []byte {
	start := len(b)
	b = e.Append(b)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseRecord returns false for what is no record.
func parseRecord(b []byte) (Entry, bool) {
	if len(b) != recordSize || crc32.Checksum(b[:EntrySize], castagnoli) != binary.BigEndian.Uint32(b[EntrySize:]) {
		return Entry{}, false
	}
	e, err := ParseEntry(b[:EntrySize])
	return e, err == nil
}

// parseRecords appends to es the entries of b, which begins where a record does, and returns how many bytes of b they
// take. What doesn't parse is passed over if a record follows. At the end it is left: somebody may be writing it.
func parseRecords(es []Entry, b []byte) ([]Entry, int) {
	taken := 0
	for at := 0; at+recordSize <= len(b); at += recordSize {
		e, ok := parseRecord(b[at : at+recordSize])
		if !ok {
			continue
		}
		taken = at + recordSize
		if e.Key != magic {
			es = append(es, e)
		}
	}
	return es, taken
}
