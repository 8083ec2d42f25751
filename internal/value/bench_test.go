package value

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// mixed returns a map of values of all kinds whose encoding takes about size bytes.
func mixed(size int) map[string]any {
	m := map[string]any{}
	for i := 0; ; i++ {
		for _, v := range []any{i, "some text " + strings.Repeat("x", i%30), true, time.Unix(1700000000, 5), []string{"a", "b"}, 1.5} {
			if b, err := Append(nil, m, 0); err != nil || len(b) >= size {
				return m
			}
			m["key"+strconv.Itoa(len(m))] = v
		}
		m["map"+strconv.Itoa(i)] = map[string]any{"id": i, "name": "n", "list": []any{i, nil, "c"}}
	}
}

var benchmarks = []struct {
	name string
	v    any
}{
	{"int", 12345}, {"string", "a short text"}, {"64B", mixed(64)}, {"1KiB", mixed(1 << 10)}, {"9KiB", mixed(9 << 10)},
}

func BenchmarkSkip(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run("size="+bench.name, func(b *testing.B) {
			data := mustAppend(b, bench.v)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Skip(data, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run("size="+bench.name, func(b *testing.B) {
			dst := mustAppend(b, bench.v)
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Append(dst[:0], bench.v, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run("size="+bench.name, func(b *testing.B) {
			data := mustAppend(b, bench.v)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				Decode(data)
			}
		})
	}
}

type cart struct {
	User  int
	Name  string
	Since time.Time
	Items []struct {
		SKU   string
		Count uint16
	}
}

func BenchmarkStruct(b *testing.B) {
	v := cart{User: 12345, Name: "a short text", Since: time.Unix(1700000000, 5)}
	v.Items = append(v.Items, struct {
		SKU   string
		Count uint16
	}{"A-1", 3})
	data := mustAppend(b, v)
	b.Run("op=append", func(b *testing.B) {
		b.ReportAllocs()
		dst := make([]byte, 0, 256)
		for b.Loop() {
			if _, err := Append(dst, v, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var into cart
			if err := DecodeInto(data, &into); err != nil {
				b.Fatal(err)
			}
		}
	})
}
