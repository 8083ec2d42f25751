package cookiesession_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession"
)

// An account is a struct of eight fields as sessions hold them.
type account struct {
	ID      int64
	Name    string
	Email   string
	Admin   bool
	Balance float64
	Since   time.Time
	Roles   []string
	Address struct {
		City string
		Zip  uint32
	}
}

func exampleAccount(n int64) account {
	a := account{
		ID: n, Name: "Grace Hopper", Email: "grace@example.com", Admin: true, Balance: 12.5,
		Since: time.Date(2026, 11, 3, 9, 30, 0, 0, time.UTC), Roles: []string{"editor", "author"},
	}
	a.Address.City, a.Address.Zip = "Arlington", 22201
	return a
}

const accountField = cookiesession.Field[account]("account")

// BenchmarkStruct puts and looks up a struct of eight fields in a session that is open.
func BenchmarkStruct(b *testing.B) {
	s := load(newManager(b, nil))
	b.Run("op=put", func(b *testing.B) {
		b.ReportAllocs()
		for n := int64(0); b.Loop(); n++ {
			accountField.Put(s, exampleAccount(n))
		}
	})
	accountField.Put(s, exampleAccount(1))
	b.Run("op=lookup", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := accountField.Lookup(s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A struct costs a handful of allocations, not one for each step of reflection.
func TestStructAllocations(t *testing.T) {
	s := load(newManager(t, nil))
	n := int64(0)
	if got := testing.AllocsPerRun(200, func() { n++; accountField.Put(s, exampleAccount(n)) }); got > 8 {
		t.Errorf("storing a struct of eight fields: got %v allocations, want at most 8", got)
	}
	var read account
	var err error
	if got := testing.AllocsPerRun(200, func() { read, err = accountField.Lookup(s) }); got > 20 {
		t.Errorf("reading a struct of eight fields: got %v allocations, want at most 20", got)
	}
	if want := exampleAccount(n); err != nil || !reflect.DeepEqual(read, want) {
		t.Errorf("got %+v, %v, want %+v", read, err, want)
	}
}
