package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Config says between whom a Proxy stands. Zero numbers mean the defaults beside them.
type Config struct {
	Network string // udp or tcp
	Listen  string // host:port; 127.0.0.1:0
	Target  string // host:port of the platform
	Seed    uint64
	Clients int // addresses, or connections, at once; 4096
	Queue   int // datagrams that wait, over UDP; beyond it they are lost, and counted; 65536
}

// Proxy is a bad network before one address of a platform. Listen makes it, Run works it.
type Proxy struct {
	cfg      Config
	target   netip.AddrPort
	udp      *net.UDPConn // one of the two
	tcp      *net.TCPListener
	queue    *queue
	up, down *dice
	now      atomic.Pointer[Faults]
	count    counters

	mu      sync.Mutex // guards what follows
	changed chan struct{}
	clients map[netip.AddrPort]*client
	conns   map[*net.TCPConn]struct{}
	closed  bool
	wg      sync.WaitGroup // readers of clients and connections
}

// Listen opens the proxy's address. Run must follow, to work it and to close it.
func Listen(cfg Config) (*Proxy, error) {
	cfg.Listen = cmp.Or(cfg.Listen, "127.0.0.1:0")
	cfg.Clients, cfg.Queue = cmp.Or(cfg.Clients, 4096), cmp.Or(cfg.Queue, 65536)
	target, err := net.ResolveUDPAddr("udp", cfg.Target)
	if err != nil {
		return nil, fmt.Errorf("faults: target %q: %w; use host:port", cfg.Target, err)
	}
	p := &Proxy{
		cfg: cfg, target: target.AddrPort(), queue: newQueue(cfg.Queue), up: newDice(cfg.Seed, 1), down: newDice(cfg.Seed, 2),
		changed: make(chan struct{}), clients: make(map[netip.AddrPort]*client), conns: make(map[*net.TCPConn]struct{}),
	}
	p.target = netip.AddrPortFrom(p.target.Addr().Unmap(), p.target.Port())
	p.now.Store(new(Faults))
	switch cfg.Network {
	case "udp":
		err = p.listenUDP()
	case "tcp":
		err = p.listenTCP()
	default:
		return nil, fmt.Errorf("faults: network %q: udp and tcp are known", cfg.Network)
	}
	if err != nil {
		return nil, fmt.Errorf("faults: listen on %s: %w", cfg.Listen, err)
	}
	return p, nil
}

// Addr returns the address that cameras use in the platform's place, as host:port.
func (p *Proxy) Addr() string {
	if p.udp != nil {
		return p.udp.LocalAddr().String()
	}
	return p.tcp.Addr().String()
}

// Set changes what is done from now on. What is late already stays as late as it was.
func (p *Proxy) Set(f Faults) error {
	if err := f.Validate(); err != nil {
		return fmt.Errorf("faults: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now.Store(&f)
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// Counts returns what has been done so far.
func (p *Proxy) Counts() Counts { return p.count.counts() }

// Run works the proxy until ctx ends or its own socket fails, and closes all it has opened.
func (p *Proxy) Run(ctx context.Context) error {
	life, end := context.WithCancel(ctx)
	var own sync.WaitGroup
	own.Go(func() { p.queue.run(life) })
	own.Go(func() {
		<-life.Done()
		p.close()
	})
	var err error
	if p.udp != nil {
		err = p.readUDP()
	} else {
		err = p.accept(life)
	}
	end()
	own.Wait()
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// close closes every socket, which ends their readers. Nothing is buffered in them that
// anybody still wants.
func (p *Proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.udp != nil {
		_ = p.udp.Close()
	} else {
		_ = p.tcp.Close()
	}
	for _, c := range p.clients {
		_ = c.conn.Close()
	}
	for c := range p.conns {
		_ = c.Close()
	}
}
