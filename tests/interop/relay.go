package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// relay passes connections on to a server, and cuts them when told.
type relay struct {
	listener net.Listener
	target   string
	lose     atomic.Bool
	mu       sync.Mutex
	open     map[net.Conn]struct{}
}

func startRelay(target string) (*relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	made := &relay{listener: listener, target: target, open: map[net.Conn]struct{}{}}
	go func() {
		for {
			incoming, err := listener.Accept()
			if err != nil {
				return
			}
			go made.pass(incoming)
		}
	}()
	return made, nil
}

func (r *relay) address() string { return r.listener.Addr().String() }

func (r *relay) pass(incoming net.Conn) {
	outgoing, err := net.Dial("tcp", r.target)
	if err != nil {
		incoming.Close()
		return
	}
	r.mu.Lock()
	r.open[incoming] = struct{}{}
	r.open[outgoing] = struct{}{}
	r.mu.Unlock()
	go func() {
		io.Copy(outgoing, incoming)
		r.drop(incoming, outgoing)
	}()
	buffer := make([]byte, 32<<10)
	for {
		count, err := outgoing.Read(buffer)
		if count > 0 {
			if r.lose.CompareAndSwap(true, false) {
				break
			}
			_, wrong := incoming.Write(buffer[:count])
			if wrong != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	r.drop(incoming, outgoing)
}

func (r *relay) drop(both ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range both {
		one.Close()
		delete(r.open, one)
	}
}

// cut closes what is open, and returns how many connections there were.
func (r *relay) cut() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := len(r.open) / 2
	for one := range r.open {
		one.Close()
	}
	clear(r.open)
	return count
}

// loseAnswer cuts the connection of the next answer in place of it.
func (r *relay) loseAnswer() { r.lose.Store(true) }

func (r *relay) close() {
	r.listener.Close()
	r.cut()
}
