//go:build unix && !aix && !solaris

package revoke_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/seed-50e21e88/cookiesession/contrib/revoke"
)

// compacted writes to the file at path until it has been replaced.
func compacted(t testing.TB, path string) {
	t.Helper()
	before, err := os.Stat(path)
	must(t, err)
	for range 5 {
		var es []revoke.Entry
		for i := range 1000 {
			es = append(es, revoke.Entry{Key: revoke.Key{255, byte(i >> 8), byte(i)}, Pos: 1, Expires: uint32(time.Now().Unix() + 3600)})
		}
		must(t, revoke.File(path).PutBack(t.Context(), es))
		if now, err := os.Stat(path); err != nil || !os.SameFile(before, now) {
			must(t, err)
			return
		}
	}
	t.Fatal("the file was not compacted")
}

// Processes may reach one file by several links, as each release of an application has its own: a compaction replaces
// the file, not the link, or they would write to two.
func TestFileCompactionOfLink(t *testing.T) {
	dir := t.TempDir()
	shared, link := filepath.Join(dir, "shared"), filepath.Join(dir, "releases", "link")
	must(t, os.Mkdir(filepath.Dir(link), 0o700))
	must(t, os.Symlink("../shared", link))
	publish(t, revoke.File(link), 1)
	compacted(t, link)
	publish(t, revoke.File(link), 2)
	publish(t, revoke.File(shared), 3)
	for _, path := range []string{link, shared} {
		es, _, err := readFile(t, revoke.File(path), "")
		must(t, err)
		keys := keysOf(es)
		for n := range byte(3) {
			if keys[entry(n+1).Key] == 0 {
				t.Errorf("%s lacks entry %d", path, n+1)
			}
		}
	}
	if got, err := os.Readlink(link); err != nil || got != "../shared" {
		t.Errorf("got a link to %q, %v", got, err)
	}
}

// Whoever may read and write the file may so after a compaction by another user, too: an administrator's program, say.
func TestFileCompactionKeepsAccess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	publish(t, revoke.File(path), 1)
	must(t, os.Chmod(path, 0o660))
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 {
		uid, gid = 12345, 54321
		must(t, os.Chown(path, uid, gid))
	}
	compacted(t, path)
	info, err := os.Stat(path)
	must(t, err)
	stat := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm() != 0o660 || int(stat.Uid) != uid || int(stat.Gid) != gid {
		t.Errorf("got mode %v, user %d, group %d; want 0660, %d, %d", info.Mode(), stat.Uid, stat.Gid, uid, gid)
	}
}

// A link at the name under which the new file is written isn't followed: what it leads to may be anybody's.
func TestFileCompactionFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "revocations"), filepath.Join(dir, "other")
	publish(t, revoke.File(path), 1)
	write(t, other, []byte("precious"))
	must(t, os.Symlink(other, path+".new"))
	compacted(t, path)
	if got, err := os.ReadFile(other); err != nil || string(got) != "precious" {
		t.Errorf("got %d bytes, %v, behind the link", len(got), err)
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		t.Errorf("got mode %v, %v", info.Mode(), err)
	}
}
