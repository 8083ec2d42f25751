// Package redis keeps revocations in a stream of Redis 6.2 or above, Valkey, or what speaks their language.
//
// It needs no client of its own: New takes a function that sends a command.
package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// Options say where in Redis the entries are.
type Options struct {
	// Stream is the key of the stream, "cookiesession:revocations" if empty.
	Stream string
}

// New returns an Engine that sends commands through do: EVAL (with XADD, XRANGE, XTRIM and TIME in it) and XREAD BLOCK,
// about two a second, and two for each revocation. do must be safe for concurrent use, and one call that waits must not
// hold up others.
//
// Its args are strings. It returns what the client returns: a string or []byte for a string, []any for an array, nil
// for nil. An array may hold the client's own errors. A nil reply may come as the client's error for it too, as
// go-redis has it: XREAD's is told by its having taken as long as it was asked to wait. do should end when ctx does, or
// Close, and what waits for the engine, take as long as the client's timeouts; these must be above one second.
//
// A replica isn't followed: what it doesn't know yet would be taken for never revoked. Nor is a master that refuses
// writes because it lacks replicas (min-replicas-to-write): there may be another by now.
func New(do func(ctx context.Context, args ...any) (any, error), o Options) revoke.Engine {
	if o.Stream == "" {
		o.Stream = "cookiesession:revocations"
	}
	return &engine{do: do, stream: o.Stream}
}

type engine struct {
	do     func(ctx context.Context, args ...any) (any, error)
	stream string
	keep   atomic.Int64 // milliseconds from an entry's ID to where the longest-lived one that was seen may be forgotten
	all    atomic.Bool  // all entries were read once, so keep does for those of other servers, too
}

const (
	page     = 1000                   // stream entries that are read at once
	packed   = 32                     // entries that are put back in a stream entry: a page stays within a megabyte
	block    = time.Second            // how long XREAD waits
	early    = 50 * time.Millisecond  // by how much its wait may fall short by this server's clock
	timeout  = 5 * time.Second        // for XREAD, in case do doesn't know one
	field    = "e"                    // of a stream entry; its value is one entry of package revoke or more
	first    = "-"                    // below every ID
	slack    = int64(60 * 1000)       // milliseconds: what may be forgotten by an entry's own account waits so long, for clocks
	longest  = 802 * 24 * 3600 * 1000 // milliseconds: twice the 400 days that a session may live, see revoke.Config.NeverReused
	noEntry  = "0-0"                  // cursor of an empty stream
	conflict = "conflict"             // what add answers then
)

// add appends stream entries and trims what may be forgotten, by the engine's clock: that of a server may be wrong. If
// it gets a key, that is unless something of the key may have been added behind a position. The entry there must be the
// same still: then what was added since has greater IDs. Of a full page nothing is said, so that others don't wait.
const add = `
local keep, from, sum, key = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if key ~= '' then
	local rows = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1000)
	if #rows == 1000 then return 'conflict' end
	if sum ~= '' then
		local first = table.remove(rows, 1)
		if not first or first[1] ~= from or redis.sha1hex(first[2][2]) ~= sum then return 'conflict' end
	end
	for _, row in ipairs(rows) do
		for at = 1, #row[2][2], 32 do
			if string.sub(row[2][2], at, at + 15) == key then return 'conflict' end
		end
	end
end
local now = redis.call('TIME')
local min = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(keep)
if min < 0 then min = 0 end
local id
for i = 5, #ARGV do
	id = redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', min), '*', 'e', ARGV[i])
end
return id`

// read returns a page from an ID on. First it does what changes nothing but must be allowed to write, so that it fails on
// a replica, also on one that was the master a moment ago. A master that can't write because its disk is full has still
// told everything that it acknowledged.
const read = `
local ok = redis.pcall('XTRIM', KEYS[1], 'MINID', '0')
if type(ok) == 'table' and ok.err and not string.find(ok.err, 'MISCONF', 1, true) then return ok end
return redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])`

func (e *engine) Publish(ctx context.Context, entry revoke.Entry, only *revoke.Condition) (revoke.Entry, error) {
	from, sum, key := "", "", ""
	if only != nil {
		last := parsePosition(only.Cursor)
		from, sum, key = last.from(), last.sum, string(entry.Key[:])
	}
	reply, err := e.add(ctx, []any{from, sum, key}, entry)
	if err != nil {
		return entry, err
	}
	if said, ok := text(reply); ok && said == conflict {
		return entry, revoke.ErrConflict
	}
	id, err := parseID(reply)
	if err != nil {
		return entry, err
	}
	entry.Pos = id.pos(entry.Pos)
	return entry, nil
}

func (e *engine) PutBack(ctx context.Context, entries []revoke.Entry) error {
	reply, err := e.add(ctx, []any{"", "", ""}, entries...)
	if err == nil {
		_, err = parseID(reply)
	}
	return err
}

// add sends the script of that name. condition is a position's ID and sum, and a key.
func (e *engine) add(ctx context.Context, condition []any, entries ...revoke.Entry) (any, error) {
	var values []any
	for row := range slices.Chunk(entries, packed) {
		var b []byte
		for _, entry := range row {
			b = entry.Append(b)
			e.noteLifetime(time.Now().UnixMilli(), entry)
		}
		values = append(values, string(b))
	}
	keep := int64(longest)
	if e.all.Load() {
		keep = e.keep.Load()
	}
	args := []any{"EVAL", add, "1", e.stream, strconv.FormatInt(keep+slack, 10)}
	return e.do(ctx, slices.Concat(args, condition, values)...)
}

// noteLifetime remembers for how long entries must be kept: engines aren't told, and another server's may live longer.
func (e *engine) noteLifetime(since int64, entry revoke.Entry) {
	keep := min(int64(entry.Expires)*1000-since, longest)
	for old := e.keep.Load(); keep > old && !e.keep.CompareAndSwap(old, keep); old = e.keep.Load() {
	}
}

// A position says how far a stream was read: the ID of a stream entry, and a checksum of what it holds. The ID alone
// won't do: a stream that was lost can have another entry of the same millisecond under it.
type position struct {
	id  string
	sum string // SHA-1, which Redis can compare, in hexadecimal digits; none of an empty stream
}

func (p position) String() string { return p.id + ":" + p.sum }

// from returns the first ID of a range that begins with the position's entry, if there is one.
func (p position) from() string {
	if p.id == noEntry {
		return first
	}
	return p.id
}

// parsePosition returns that of an empty stream for anything else.
func parsePosition(cursor string) position {
	if id, sum, ok := strings.Cut(cursor, ":"); ok {
		return position{id, sum}
	}
	return position{id: noEntry}
}

func positionOf(id streamID, value string) position {
	sum := sha1.Sum([]byte(value))
	return position{id.String(), hex.EncodeToString(sum[:])}
}

// Read reads from the cursor's entry on, which must still be there: a replica's history is a beginning of its master's,
// so if the last entry that was read survived a failover, all did; and nothing was added below it.
func (e *engine) Read(ctx context.Context, cursor string, sink func([]revoke.Entry)) (next string, more bool, err error) {
	last := parsePosition(cursor)
	count := page + 1
	if last.id == noEntry {
		count = page
	}
	reply, err := e.do(ctx, "EVAL", read, "1", e.stream, last.from(), strconv.Itoa(count))
	if err != nil {
		return "", false, err
	}
	rows, ok := reply.([]any)
	if !ok && reply != nil {
		return "", false, unexpected("XRANGE", reply)
	}
	if len(rows) == 0 && last.id != noEntry {
		return "", false, revoke.ErrLost
	}
	var entries []revoke.Entry
	for i, row := range rows {
		id, value, err := parseRow(row)
		if err != nil {
			return "", false, err
		}
		if i == 0 && last.id != noEntry {
			if positionOf(id, value) != last {
				return "", false, revoke.ErrLost
			}
			continue
		}
		if entries, err = e.parse(entries, id, value); err != nil {
			return "", false, err
		}
		if i == len(rows)-1 {
			last = positionOf(id, value)
		}
	}
	sink(entries)
	if more = len(rows) == count; !more {
		e.all.Store(true)
	}
	return last.String(), more, nil
}

// parse appends the entries of a stream entry's value.
func (e *engine) parse(entries []revoke.Entry, id streamID, value string) ([]revoke.Entry, error) {
	for ; len(value) >= revoke.EntrySize; value = value[revoke.EntrySize:] {
		entry, err := revoke.ParseEntry([]byte(value[:revoke.EntrySize]))
		if err != nil {
			return nil, err
		}
		e.noteLifetime(id.ms, entry)
		entry.Pos = id.pos(entry.Pos)
		entries = append(entries, entry)
	}
	if value != "" {
		return nil, fmt.Errorf("redis: stream entry %s is not one of revocations", id)
	}
	return entries, nil
}

// Follow waits with XREAD, which only wakes it: what it returns is read again, from what is the master by then.
func (e *engine) Follow(ctx context.Context, read func(context.Context) (string, error)) error {
	for {
		cursor, err := read(ctx)
		if err != nil {
			return err
		}
		if err := e.wait(ctx, cursor); err != nil {
			return err
		}
	}
}

func (e *engine) wait(ctx context.Context, cursor string) error {
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	started := time.Now()
	_, err := e.do(waiting, "XREAD", "COUNT", "1", "BLOCK", strconv.FormatInt(block.Milliseconds(), 10), "STREAMS", e.stream, parsePosition(cursor).id)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && time.Since(started) < block-early {
		return err
	}
	return nil // an error after the wait is a client's word for a nil reply, or reading will find out
}
