package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"time"

	"pkt.systems/lockd/api"
	"pkt.systems/lockd/client"
)

// counter is AcquireForUpdate's read, change and write of one number.
func counter(r *run, by *client.Client, key string) error {
	request := api.AcquireRequest{Key: key, Owner: "counter", TTLSeconds: 20, BlockSecs: 30}
	return by.AcquireForUpdate(r.ctx, request, func(ctx context.Context, held *client.AcquireForUpdateContext) error {
		var state struct{ N int }
		if err := held.Load(ctx, &state); err != nil {
			return err
		}
		state.N++
		return held.Save(ctx, state)
	})
}

func helper(r *run) {
	key := r.key("helper")
	results := make(chan error)
	for range 4 {
		go func() {
			by := r.dial(r.server)
			var err error
			for range 5 {
				err = errors.Join(err, counter(r, by, key))
			}
			results <- err
		}()
	}
	for range 4 {
		r.fine("AcquireForUpdate, five times by one of four", <-results)
	}
	want(r, "the number after all of them", `{"N":20}`, r.public(key))

	key = r.key("renewal")
	request := api.AcquireRequest{Key: key, Owner: "renewal", TTLSeconds: 2, BlockSecs: 10}
	err := r.dial(r.server).AcquireForUpdate(r.ctx, request, func(ctx context.Context, held *client.AcquireForUpdateContext) error {
		want(r, "AcquireForUpdate shows that there is no state", false, held.State.HasState)
		// Longer than the TTL: the helper renews, or the lease would have lapsed.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(3500 * time.Millisecond):
		}
		_, err := r.dial(r.server).Acquire(ctx, api.AcquireRequest{Key: key, Owner: "other", TTLSeconds: 2, BlockSecs: client.BlockNoWait})
		r.refused("acquire of what the helper has renewed", 409, "waiting", err)
		return held.Save(ctx, map[string]any{"done": true})
	})
	r.fine("AcquireForUpdate for longer than the TTL", err)
	want(r, "its state", `{"done":true}`, r.public(key))
}

// cuts runs the helper and a waiter over connections that break under them.
func cuts(r *run) {
	target, err := url.Parse(r.server)
	if err != nil || target.Scheme != "http" {
		fmt.Println("left out: cut connections: the first server is not http://")
		return
	}
	relay, err := startRelay(target.Host)
	if !r.fine("a relay", err) {
		return
	}
	defer relay.close()
	by := r.dial("http://" + relay.address())

	key := r.key("cuts")
	request := api.AcquireRequest{Key: key, Owner: "cuts", TTLSeconds: 20, BlockSecs: 10}
	calls := 0
	err = by.AcquireForUpdate(r.ctx, request, func(ctx context.Context, held *client.AcquireForUpdateContext) error {
		calls++
		if calls > 1 {
			return held.Save(ctx, map[string]any{"step": 1})
		}
		r.check("connections that the helper had", "> 0", "none", relay.cut() > 0)
		if err := held.Save(ctx, map[string]any{"step": 1}); err != nil {
			return fmt.Errorf("save after a cut: %w", err)
		}
		relay.cut()
		if _, err := held.KeepAlive(ctx, 20*time.Second); err != nil {
			return fmt.Errorf("keepalive after a cut: %w", err)
		}
		relay.cut()
		return nil
	})
	r.fine("AcquireForUpdate with its connections cut between its calls", err)
	// The client repeats a save by itself. Where it sees the cut too late for another call, it begins again.
	r.check("calls of its function", "1 or 2", fmt.Sprint(calls), calls == 1 || calls == 2)
	want(r, "its state", `{"step":1}`, r.public(key))

	// The server has done it and its answer is lost: the client does the whole again, under a lease of its own.
	key = r.key("lost")
	request.Key = key
	calls = 0
	err = by.AcquireForUpdate(r.ctx, request, func(ctx context.Context, held *client.AcquireForUpdateContext) error {
		calls++
		if err := held.Save(ctx, map[string]any{"calls": calls}); err != nil {
			return err
		}
		if calls == 1 {
			relay.loseAnswer()
		}
		return nil
	})
	r.fine("AcquireForUpdate whose answer to release is lost", err)
	want(r, "calls of its function, once more for the lost answer", 2, calls)
	want(r, "its state", `{"calls":2}`, r.public(key))

	key = r.key("waiter")
	holder := r.acquire(r.dial(r.server), key, "holder", 30, client.BlockNoWait)
	granted := make(chan *client.LeaseSession)
	go func() { granted <- r.acquire(by, key, "cut waiter", 30, 30) }()
	r.check("a waiter", "is queued", "is not", r.waiters(key, 1))
	relay.cut()
	r.check("a waiter whose connection is cut", "leaves the queue", "does not", r.waiters(key, 0))
	r.check("the same waiter, which comes again", "is queued", "is not", r.waiters(key, 1))
	r.fine("release", holder.Release(r.ctx))
	r.fine("the waiter's release", (<-granted).Release(r.ctx))
}

// endpoints goes on to the next server where the first is dead.
func endpoints(r *run) {
	dead := httptest.NewServer(http.NotFoundHandler())
	dead.Close()
	by, err := client.NewWithEndpoints([]string{dead.URL, r.server}, client.WithDisableMTLS(true), client.WithEndpointShuffle(false))
	if !r.fine("a client of two servers", err) {
		return
	}
	lease := r.acquire(by, r.key("endpoints"), "endpoints", 30, client.BlockNoWait)
	r.fine("save where the first server is dead", lease.Save(r.ctx, map[string]any{"n": 1}))
	r.fine("release where the first server is dead", lease.Release(r.ctx))

	twice, err := client.NewWithEndpoints([]string{r.server, r.server + "/"}, client.WithDisableMTLS(true))
	if r.fine("a client with one server twice", err) {
		lease = r.acquire(twice, r.key("endpoints"), "endpoints", 30, client.BlockNoWait)
		r.fine("release, which is sent to both", lease.Release(r.ctx))
	}
}
