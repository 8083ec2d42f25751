package cookiename

import "testing"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		suffix string
		kind   Kind
		part   int
		tag    string
	}{
		{"", Session, 0, ""},
		{".0", Other, 0, ""},
		{".1", Session, 1, ""},
		{".8", Session, 8, ""},
		{".9", Other, 0, ""},
		{".01", Other, 0, ""},
		{".", Other, 0, ""},
		{"x", Other, 0, ""},
		{".flash", Flash, 0, ""},
		{".flash.1", Flash, 1, ""},
		{".flashes", Other, 0, ""},
		{".flash.", Other, 0, ""},
		{".lease", Lease, 0, ""},
		{".here", Here, 0, ""},
		{".here.1", Other, 0, ""},
		{".ended", Other, 0, ""}, // a marker of no origin
		{".ended.1", Other, 0, ""},
		{".ended.AAAAAAAAAAA", Ended, 0, "AAAAAAAAAAA"},
		{".ended.AAAAAAAAAAB", Other, 0, ""}, // the last bits aren't zero
		{".ended.AAAAAAAAAA", Other, 0, ""},
		{".ended.AAAAAAAAAAAA", Other, 0, ""},
	} {
		kind, part, tag := Parse(test.suffix)
		if kind != test.kind || part != test.part || tag != test.tag {
			t.Errorf("%q: got %d, %d, %q, want %d, %d, %q", test.suffix, kind, part, tag, test.kind, test.part, test.tag)
		}
	}
}

func TestTagAndBack(t *testing.T) {
	want := Origin{0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff}
	if got, ok := ParseTag(want.Tag()); got != want || !ok {
		t.Errorf("%s: got %x, %v, want %x", want.Tag(), got, ok, want)
	}
}

func TestSplit(t *testing.T) {
	for name, want := range map[string][2]string{
		"":               {"", ""},
		"session":        {"session", ""},
		".1":             {"", ".1"},
		"session.":       {"session", "."},
		"session.ended.": {"session", ".ended."},
	} {
		if session, suffix := Split(name); session != want[0] || suffix != want[1] {
			t.Errorf("%q: got %q, %q, want %q", name, session, suffix, want)
		}
	}
}
