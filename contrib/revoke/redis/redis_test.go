package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// A fake answers commands as a stream would.
type fake struct {
	t      *testing.T
	rows   []any // of XRANGE: [id, [field, value]]
	err    error // of every command
	nilErr error // the client's word for nil
	bytes  bool  // strings come as []byte
	first  int   // milliseconds of the first ID that XADD gives
	names  []string
	last   []any
}

func (f *fake) do(ctx context.Context, args ...any) (any, error) {
	for _, arg := range args {
		if _, ok := arg.(string); !ok {
			f.t.Errorf("got an argument of type %T, want strings only", arg)
		}
	}
	f.names, f.last = append(f.names, args[0].(string)), args
	if f.err != nil {
		return nil, f.err
	}
	switch {
	case args[0] == "XREAD":
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
		return nil, f.nilErr
	case args[1] == add:
		for _, value := range args[8:] {
			f.rows = append(f.rows, f.row(fmt.Sprintf("%d-0", f.first+len(f.rows)), value.(string)))
		}
		return f.text(fmt.Sprintf("%d-0", f.first+len(f.rows)-1)), nil
	case args[1] == read:
		from := 0
		if args[4] != "-" {
			from = len(f.rows)
			for i, row := range f.rows {
				if id, _ := text(row.([]any)[0]); id == args[4] {
					from = i
				}
			}
		}
		var count int
		fmt.Sscan(args[5].(string), &count)
		return slices.Clone(f.rows[from:min(len(f.rows), from+count)]), nil
	}
	f.t.Errorf("got %v", args)
	return nil, nil
}

func (f *fake) text(s string) any {
	if f.bytes {
		return []byte(s)
	}
	return s
}

func (f *fake) row(id, value string) any {
	return []any{f.text(id), []any{f.text("e"), f.text(value)}}
}

func entry(n byte) revoke.Entry {
	return revoke.Entry{Key: revoke.Key{n}, Before: 1, Expires: uint32(time.Now().Unix() + 100)}
}

func TestReadWhatWasPublished(t *testing.T) {
	for _, bytes := range []bool{false, true} {
		f := &fake{t: t, bytes: bytes, first: 1000}
		e := New(f.do, Options{Stream: "here"})
		first, err := e.Publish(t.Context(), entry(1), nil)
		if err != nil || first.Pos != 1000_000 {
			t.Errorf("got %+v, %v; want the ID in microseconds", first, err)
		}
		if f.last[3] != "here" {
			t.Errorf("got stream %v", f.last[3])
		}
		given := entry(2)
		given.Pos = 5
		if got, err := e.Publish(t.Context(), given, nil); err != nil || got != given {
			t.Errorf("got %+v, %v; want the pos that was given", got, err)
		}
		back := []revoke.Entry{{Key: revoke.Key{3}, Pos: 7}, {Key: revoke.Key{4}, Pos: 8}}
		if err := e.PutBack(t.Context(), back); err != nil {
			t.Error(err)
		}
		var got []revoke.Entry
		sink := func(es []revoke.Entry) { got = append(got, es...) }
		cursor, more, err := e.Read(t.Context(), "", sink)
		if want := append([]revoke.Entry{first, given}, back...); err != nil || more || !strings.HasPrefix(cursor, "1002-0:") || !slices.Equal(got, want) {
			t.Errorf("got %v, cursor %s, more: %v, %v; want %v", got, cursor, more, err, want)
		}
		if err := e.PutBack(t.Context(), make([]revoke.Entry, packed+1)); err != nil || len(f.rows) != 5 {
			t.Errorf("got %d stream entries, %v; want %d entries in two", len(f.rows), err, packed+1)
		}
		f.rows = f.rows[:3]
		got = nil
		last, _ := e.Publish(t.Context(), entry(5), nil)
		if _, _, err := e.Read(t.Context(), cursor, sink); err != nil || !slices.Equal(got, []revoke.Entry{last}) {
			t.Errorf("got %v, %v; want what is behind the cursor", got, err)
		}
	}
}

// A condition is sent as what the script compares, and its answer is told from an ID.
func TestPublishOnCondition(t *testing.T) {
	good := string(entry(1).Append(nil))
	for _, test := range []struct {
		name      string
		cursor    string
		from, sum string
		answer    any
		want      error
	}{
		{"of an empty stream", noEntry + ":", "-", "", "5-0", nil},
		{"of a stream", at("7-1", good), "7-1", positionOf(streamID{}, good).sum, "8-0", nil},
		{"that doesn't hold", at("7-1", good), "7-1", positionOf(streamID{}, good).sum, "conflict", revoke.ErrConflict},
		{"that doesn't hold, in bytes", noEntry + ":", "-", "", []byte("conflict"), revoke.ErrConflict},
	} {
		var got []any
		do := func(_ context.Context, args ...any) (any, error) { got = args; return test.answer, nil }
		only := &revoke.Condition{Cursor: test.cursor, Pos: 5}
		_, err := New(do, Options{}).Publish(t.Context(), entry(2), only)
		key := entry(2).Key
		want := []any{test.from, test.sum, string(key[:]), string(entry(2).Append(nil))}
		if !errors.Is(err, test.want) || len(got) != 9 || !slices.Equal(got[5:], want) {
			t.Errorf("%s: got %v for %q, want %v for %q", test.name, err, got[5:], test.want, want)
		}
	}
}

// The cursor's entry must be there still; nothing was lost of nothing.
func TestReadLost(t *testing.T) {
	good := string(entry(1).Append(nil))
	for _, test := range []struct {
		name, cursor string
		rows         int
		want         error
	}{
		{"there", at("1001-0", good), 3, nil},
		{"there, and last", at("1002-0", good), 3, nil},
		{"gone, with others behind", at("999-5", good), 3, revoke.ErrLost},
		{"gone, with another of that millisecond", at("1001-0", string(entry(2).Append(nil))), 3, revoke.ErrLost},
		{"everything gone", at("1000-0", good), 0, revoke.ErrLost},
		{"nothing read, nothing there", "0-0:0", 0, nil},
		{"nothing read, something there", "0-0:0", 2, nil},
	} {
		f := &fake{t: t}
		for i := range test.rows {
			f.rows = append(f.rows, f.row(fmt.Sprintf("%d-0", 1000+i), good))
		}
		do := f.do
		if strings.HasPrefix(test.cursor, "999") {
			do = func(context.Context, ...any) (any, error) { return f.rows, nil } // what is above it comes
		}
		if _, _, err := New(do, Options{}).Read(t.Context(), test.cursor, func([]revoke.Entry) {}); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

// at returns the cursor behind an entry.
func at(id, value string) string {
	parsed, err := parseID(id)
	if err != nil {
		panic(err)
	}
	return positionOf(parsed, value).String()
}

// A page of the full size isn't the last.
func TestReadPages(t *testing.T) {
	good := string(entry(1).Append(nil))
	for _, test := range []struct {
		rows   int
		cursor string
		want   bool
	}{
		{page - 1, "", false},
		{page, "", true},
		{page + 1, "", true},
		{page, at("1000-0", good), false},
		{page + 1, at("1000-0", good), true},
		{page + 2, at("1000-0", good), true},
	} {
		f := &fake{t: t}
		for i := range test.rows {
			f.rows = append(f.rows, f.row(fmt.Sprintf("%d-0", 1000+i), good))
		}
		n := 0
		_, more, err := New(f.do, Options{}).Read(t.Context(), test.cursor, func(es []revoke.Entry) { n += len(es) })
		if want := min(page, test.rows-min(1, len(test.cursor))); err != nil || more != test.want || n != want {
			t.Errorf("%d rows from %q: got %d, more: %v, %v; want %d, %v", test.rows, test.cursor, n, more, err, want, test.want)
		}
	}
}

// Replies that aren't a stream of revocations are errors, never panics.
func TestReadStrangeReplies(t *testing.T) {
	f := &fake{t: t}
	good := string(entry(1).Append(nil))
	down := errors.New("down")
	for name, reply := range map[string]any{
		"string":          "OK",
		"map":             map[any]any{},
		"error":           down,
		"row of no array": []any{"1-0"},
		"row of an error": []any{down},
		"short row":       []any{[]any{"1-0"}},
		"ID of no string": []any{[]any{int64(1), []any{"e", good}}},
		"no ID":           []any{[]any{"1", []any{"e", good}}},
		"fields missing":  []any{[]any{"1-0", nil}},
		"field too many":  []any{[]any{"1-0", []any{"e", good, "f", ""}}},
		"another field":   []any{f.row("1-0", good).([]any)[0], []any{"f", good}},
		"short value":     []any{f.row("1-0", good[1:])},
		"long value":      []any{f.row("1-0", good+"x")},
		"value of no one": []any{[]any{"1-0", []any{"e", int64(1)}}},
	} {
		do := func(context.Context, ...any) (any, error) { return reply, nil }
		if _, _, err := New(do, Options{}).Read(t.Context(), "", func([]revoke.Entry) {}); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if _, err := New(do, Options{}).Publish(t.Context(), entry(1), nil); err == nil {
			t.Errorf("%s: got no error from Publish", name)
		}
	}
	nothing := func(context.Context, ...any) (any, error) { return nil, nil }
	if cursor, more, err := New(nothing, Options{}).Read(t.Context(), "", func([]revoke.Entry) {}); parsePosition(cursor).id != noEntry || more || err != nil {
		t.Errorf("nil for an empty array: got %q, %v, %v", cursor, more, err)
	}
}

// A nil reply is no failure, however the client says it; an error at once is one.
func TestFollow(t *testing.T) {
	isNil, down := errors.New("client: nil"), errors.New("down")
	for _, test := range []struct {
		name        string
		err, nilErr error
		want        error
	}{
		{"nil", nil, nil, nil},
		{"the client's error for nil", nil, isNil, nil},
		{"down", down, nil, down},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{t: t, err: test.err, nilErr: test.nilErr}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+time.Millisecond)
			defer cancel()
			reads := 0
			err := New(f.do, Options{}).Follow(ctx, func(context.Context) (string, error) { reads++; return "5-0:1", nil })
			if test.want != nil && (!errors.Is(err, test.want) || reads != 1) || test.want == nil && (ctx.Err() == nil || reads != 11) {
				t.Errorf("%s: got %v after %d reads", test.name, err, reads)
			}
			if got := f.last; got[0] != "XREAD" || got[len(got)-1] != "5-0" {
				t.Errorf("%s: got %v, want a wait from the cursor on", test.name, got)
			}
		})
	}
}

// Entries are kept for as long as the longest-lived that was seen, whoever added it.
func TestKeep(t *testing.T) {
	now := time.Now().UnixMilli()
	f := &fake{t: t, first: int(now)}
	e := New(f.do, Options{})
	keep := func() (ms int64) {
		if _, err := e.Publish(t.Context(), entry(1), nil); err != nil {
			t.Fatal(err)
		}
		fmt.Sscan(f.last[4].(string), &ms)
		return ms
	}
	cursor := ""
	for len(f.rows) <= page {
		if got := keep(); got != 802*24*3_600_000+60_000 {
			t.Fatalf("got %d ms before all %d entries were read, want 802 days and a minute", got, len(f.rows))
		}
		if len(f.rows) == page {
			var more bool
			var err error
			if cursor, more, err = e.Read(t.Context(), "", func([]revoke.Entry) {}); !more || err != nil {
				t.Fatal(more, err)
			}
		}
	}
	if _, more, err := e.Read(t.Context(), cursor, func([]revoke.Entry) {}); more || err != nil {
		t.Fatal(more, err)
	}
	if got := keep(); got < 159_000 || got > 160_000 {
		t.Errorf("got %d ms, want 100 s and a minute", got)
	}
	other := entry(2)
	other.Expires += 3500
	f.rows = []any{f.row(fmt.Sprintf("%d-0", now), string(other.Append(nil)))}
	if _, _, err := e.Read(t.Context(), "", func([]revoke.Entry) {}); err != nil {
		t.Fatal(err)
	}
	if got := keep(); got < 3_657_000 || got > 3_661_000 {
		t.Errorf("got %d ms, want an hour and a minute", got)
	}
	f.rows = []any{f.row("5-0", string(other.Append(nil)))} // a clock that was wrong by decades
	if _, _, err := e.Read(t.Context(), "", func([]revoke.Entry) {}); err != nil {
		t.Fatal(err)
	}
	if got := keep(); got != 802*24*3_600_000+60_000 {
		t.Errorf("got %d ms, want 802 days and a minute", got)
	}
}
