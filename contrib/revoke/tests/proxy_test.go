//go:build unix

package tests

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A proxy is a wire to a server that can be cut, and laid to another.
type proxy struct {
	listener net.Listener
	target   atomic.Pointer[string]
	mute     atomic.Bool // nothing passes, and nobody is told

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &proxy{listener: l, conns: map[net.Conn]struct{}{}}
	p.target.Store(&target)
	t.Cleanup(func() { l.Close(); p.reset() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", *p.target.Load())
	if err != nil {
		client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.copy(server, client) })
	both.Go(func() { p.copy(client, server) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// copy passes bytes on; while the wire is cut they are lost, so the connection is of no use afterwards.
func (p *proxy) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	lost := false
	for {
		n, err := from.Read(b)
		lost = lost || p.mute.Load()
		if n > 0 && !lost {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// reset breaks all connections.
func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// lay leads connections from now on to another server, and breaks those that are.
func (p *proxy) lay(target string) {
	p.target.Store(&target)
	p.reset()
}
