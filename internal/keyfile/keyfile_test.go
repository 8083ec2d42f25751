package keyfile

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMayBeSecret(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                      false,
		"2026-11":                               false,
		"production":                            false,
		"2026-11-the-key-of-the-shop-in-vienna": false,
		"ProductionSigningKey":                  false, // no digit
		"/var/run/secrets/cookiesession_keys":   false,
		"/etc/Shop2/keys.json":                  false,
		"key-dba2fdc277351eb8":                  false,
		"q83vASNFZ4mrze8":                       false, // 15 characters
		"q83vASNFZ4mrze8B":                      true,
		"old=q83vASNFZ4mrze8B=":                 true,
		"abcdef0123456789abcdef012345678":       false, // 31 digits
		"abcdef0123456789abcdef0123456789":      true,
		"base64:x":                              true,
		"hex:00":                                true,
		"pppppppppppppp0Z":                      true,
		"pppppppppppppp9A":                      true,
		"QQQQQQQQQQQQQQ5a":                      true,
		"QQQQQQQQQQQQQQ5z":                      true,
		"q83vASNF+mrze8B1":                      true,
		"q83vASNF-mrze8B1":                      true,
		"q83vASNF_mrze8B1":                      true,
		"QQQQQQQQQQQQQQQ5":                      false, // one case
		"q83vASNF/mrze8B1":                      false, // 0, 9, a, z, A and Z with what is beside them
		"q83vASNF:mrze8B1":                      false,
		"q83vASNF`mrze8B1":                      false,
		"q83vASNF{mrze8B1":                      false,
		"q83vASNF@mrze8B1":                      false,
		"q83vASNF[mrze8B1":                      false,
	} {
		if got := MayBeSecret(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestMarshal(t *testing.T) {
	f := file(t, "b +1h", "a -1h +24h")
	f.NotBefore = noon.In(time.FixedZone("Vienna", 3600))
	f.Keys[1].ActivateAt = f.Keys[1].ActivateAt.Add(500 * time.Millisecond)
	const want = `{
  "not_before": "2026-11-21T12:00:00Z",
  "keys": [
    {
      "label": "b",
      "secret": "secret of b",
      "activate_at": "2026-11-21T13:00:00Z"
    },
    {
      "label": "a",
      "secret": "secret of a",
      "activate_at": "2026-11-21T11:00:00.5Z",
      "retire_at": "2026-11-22T12:00:00Z"
    }
  ]
}
`
	text := f.Marshal()
	if string(text) != want {
		t.Errorf("got %s", text)
	}
	again, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(again.Marshal()); got != want {
		t.Errorf("read back: %s", got)
	}
	if got := fmt.Sprintf("%v %+v %#v %s", f, f.Keys[0], f.Keys, f.Keys[0].Secret); strings.Contains(got, "secret of") {
		t.Errorf("printing shows secrets: %s", got)
	}
}
