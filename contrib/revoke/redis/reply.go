package redis

import (
	"fmt"
	"strconv"
	"strings"
)

// A streamID is the ID of a stream entry.
type streamID struct {
	ms  int64 // since 1970, by the engine's clock, unless that was set back
	seq uint64
}

func (id streamID) String() string {
	return strconv.FormatInt(id.ms, 10) + "-" + strconv.FormatUint(id.seq, 10)
}

// pos returns the pos of an entry with this ID that was published with at least the given one. It's in microseconds, as
// with other engines, so that marks keep their meaning when an application changes to another.
func (id streamID) pos(given uint64) uint64 {
	if given > 0 {
		return given
	}
	return uint64(id.ms)*1000 + id.seq
}

// text returns a string as clients return one.
func text(reply any) (string, bool) {
	switch reply := reply.(type) {
	case string:
		return reply, true
	case []byte:
		return string(reply), true
	}
	return "", false
}

func parseID(reply any) (id streamID, err error) {
	s, ok := text(reply)
	if !ok {
		return id, unexpected("XADD", reply)
	}
	ms, seq, ok := strings.Cut(s, "-")
	if id.ms, err = strconv.ParseInt(ms, 10, 64); err == nil && ok {
		id.seq, err = strconv.ParseUint(seq, 10, 64)
	}
	if err != nil || !ok {
		return id, fmt.Errorf("redis: %.40q is no ID of a stream entry", s)
	}
	return id, nil
}

// parseRow parses a stream entry: its ID, and an array of a field and a value.
func parseRow(row any) (id streamID, value string, err error) {
	pair, ok := row.([]any)
	if !ok || len(pair) != 2 {
		return id, "", unexpected("XRANGE", row)
	}
	if id, err = parseID(pair[0]); err != nil {
		return id, "", err
	}
	fields, ok := pair[1].([]any)
	if !ok || len(fields) != 2 {
		return id, "", fmt.Errorf("redis: stream entry %s is not one of revocations", id)
	}
	name, _ := text(fields[0])
	value, ok = text(fields[1])
	if !ok || name != field {
		return id, "", fmt.Errorf("redis: stream entry %s is not one of revocations", id)
	}
	return id, value, nil
}

// unexpected returns the error for a reply of another type. It is never shown.
func unexpected(command string, reply any) error {
	if err, ok := reply.(error); ok {
		return err
	}
	return fmt.Errorf("redis: %s was answered with a %T", command, reply)
}
