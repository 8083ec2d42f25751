package revoke

import (
	"context"
	"log/slog"
	"time"
)

// A note is a line for the log, written by the goroutine of report: no code of the application's runs in the hook, nor
// under a lock.
type note struct {
	text     string
	err      error
	count    int
	recovery bool
}

// note keeps n to be logged. Whatever comes faster than a line a second for long is dropped.
func (l *List) note(n note) {
	select {
	case l.notes <- n:
	default:
	}
}

// failed keeps why following or putting back failed. The first failure of an outage is logged.
func (l *List) failed(err error) {
	text := err.Error() // of the application's client perhaps, so not under the lock
	l.mu.Lock()
	first := !l.failing
	l.failing = true
	l.stats.Reconnects++
	l.stats.LastError = text
	l.mu.Unlock()
	if first {
		l.note(note{text: "revoke: revocations can't be read or put back; trying again", err: err})
	}
}

// watch does until Close what must be done now and then: it ends contexts of Until when the list is too old, and forgets
// what has expired.
func (l *List) watch() {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for n := 1; ; n++ {
		select {
		case <-ticks.C:
		case <-l.ctx.Done():
			return
		}
		if l.stale() {
			l.watchers.endAll(ErrStale)
		}
		if n%60 == 0 {
			l.entries.forget(time.Now().Unix())
		}
	}
}

// report logs until Close. Nothing else waits for it: a logger can be slow, or hang.
func (l *List) report() {
	complete, wasStale := time.Now(), false // when the list last was, or this began
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-l.ctx.Done():
			return
		}
		age := l.staleness()
		if age < 0 {
			age = time.Since(complete)
		} else {
			complete = time.Now()
		}
		switch stale := age > l.config.MaxStale; {
		case stale && !wasStale:
			l.config.Logger.Error("revoke: list of revocations is too old", "staleness", age.Round(time.Second), "serving", l.config.ServeStale)
			wasStale = true
			continue
		case wasStale && !stale:
			l.config.Logger.Info("revoke: list of revocations is up to date again")
			wasStale = false
			continue
		}
		select {
		case n := <-l.notes:
			n.log(l.config.Logger)
		default:
		}
	}
}

func (n note) log(logger *slog.Logger) {
	level := slog.LevelWarn
	if n.recovery {
		level = slog.LevelInfo
	}
	var attributes []slog.Attr
	if n.err != nil {
		attributes = append(attributes, slog.Any("error", n.err))
	}
	if n.count > 0 {
		attributes = append(attributes, slog.Int("count", n.count))
	}
	logger.LogAttrs(context.Background(), level, n.text, attributes...)
}
