//go:build !amd64 || purego

package base64url

func hasSSSE3() bool { return false }

func decodeBlocks([]byte, string) (blocks int, ok bool) { return 0, true }

func encodeBlocks(_, _ []byte) (blocks int) { return 0 }
