package cookiesession_test

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Payloads are put together by hand here, so that they can be wrong.

// pack puts parts together: bytes as they are, an int as one byte.
func pack(parts ...any) []byte {
	var b []byte
	for _, part := range parts {
		switch part := part.(type) {
		case int:
			b = append(b, byte(part))
		case string:
			b = append(b, part...)
		case []byte:
			b = append(b, part...)
		default:
			panic(fmt.Sprintf("pack of a %T", part))
		}
	}
	return b
}

func packArray(n int) []byte { return []byte{0x90 | byte(n)} }

// packID returns a session ID of 16 bytes b.
func packID(b byte) []byte {
	data := make([]byte, 16)
	for i := range data {
		data[i] = b
	}
	return packBytes(data)
}

func packBytes(data []byte) []byte { return append([]byte{0xc4, byte(len(data))}, data...) }

func packString(s string) []byte { return append([]byte{0xa0 | byte(len(s))}, s...) }

func packTimes(times ...int64) (b []byte) {
	for _, t := range times {
		b = binary.BigEndian.AppendUint32(append(b, 0xce), uint32(t))
	}
	return b
}

// packMap returns a map of strings, in the order given.
func packMap(pairs ...string) []byte {
	b := []byte{0x80 | byte(len(pairs)/2)}
	for _, s := range pairs {
		b = append(b, packString(s)...)
	}
	return b
}

// packLease returns the payload of a lease.
func packLease(sessionID string, seen int64) []byte {
	data, err := hex.DecodeString(sessionID)
	if err != nil {
		panic(err)
	}
	return pack(packArray(2), packBytes(data), packTimes(seen))
}
