//go:build !purego

package base64url

// Assembly, since from 1 KiB on base64 in Go takes as long as the cipher. What it may touch is decided here, in Go: it
// is given a number of blocks for which there is room, and stores nowhere else whatever it reads. It needs SSSE3, which
// all amd64 processors have had since 2011; build with the tag purego to do without.

func hasSSSE3() bool

//go:noescape
func decodeSSSE3(out []byte, src string, blocks int) bool

//go:noescape
func encodeSSSE3(out, src []byte, blocks int)

// decodeBlocks decodes as many blocks of 16 characters to 12 bytes as it can from the start of src, and returns how
// many. It returns false if one of them holds a foreign character.
func decodeBlocks(out []byte, src string) (blocks int, ok bool) {
	// Each block stores 16 bytes of which 12 stay.
	blocks = min(len(src)/16, (len(out)-4)/12)
	if !accelerated || blocks <= 0 {
		return 0, true
	}
	return blocks, decodeSSSE3(out, src, blocks)
}

// encodeBlocks encodes as many blocks of 12 bytes to 16 characters as it can from the start of src, and returns how
// many.
func encodeBlocks(out, src []byte) (blocks int) {
	// Each block loads 16 bytes and uses 12.
	blocks = min((len(src)-4)/12, len(out)/16)
	if !accelerated || blocks <= 0 {
		return 0
	}
	encodeSSSE3(out, src, blocks)
	return blocks
}
