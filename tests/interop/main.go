// Interop: the unmodified Go client of pkt.systems/lockd against a running server of ours. Run it by scripts/interop.
//
//	interop http://127.0.0.1:9341 [URL...]
//
// The first server gets every check, the others (a unix socket, say) one round. Each check is a line: what was looked at, and
// where it failed what was expected and what came. It ends 1 when any failed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"pkt.systems/lockd/api"
	"pkt.systems/lockd/client"
)

// run is one pass over a server; names of keys carry its number, so that a server that has been used before does not disturb it.
type run struct {
	ctx    context.Context
	server string
	number string
	failed int
	checks int
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: interop URL [URL...]")
		os.Exit(64)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r := &run{ctx: ctx, server: os.Args[1], number: strconv.FormatInt(time.Now().UnixNano(), 36)}
	for _, part := range []func(*run){
		leases, waiting, expiry, states, guards, commits, removal, streams, helper, cuts, endpoints,
	} {
		part(r)
	}
	for _, other := range os.Args[2:] {
		round(r, other)
	}
	fmt.Printf("%d checks, %d failed\n", r.checks, r.failed)
	if r.failed > 0 {
		os.Exit(1)
	}
}

func (r *run) key(name string) string { return "interop/" + r.number + "/" + name }

// want is a check: got must be equal to expected.
func want[T comparable](r *run, what string, expected, got T) bool {
	return r.check(what, fmt.Sprintf("%v", expected), fmt.Sprintf("%v", got), expected == got)
}

func (r *run) check(what, expected, got string, ok bool) bool {
	r.checks++
	if ok {
		fmt.Printf("ok      %s\n", what)
		return true
	}
	r.failed++
	fmt.Printf("FAILED  %s: expected %s, got %s\n", what, expected, got)
	return false
}

func (r *run) fine(what string, err error) bool {
	return r.check(what, "no error", fmt.Sprintf("%v", err), err == nil)
}

// refused checks status and code of an error of the server, and returns it.
func (r *run) refused(what string, status int, code string, err error) *client.APIError {
	var refusal *client.APIError
	if !errors.As(err, &refusal) {
		r.check(what, fmt.Sprintf("%d %s", status, code), fmt.Sprintf("%v", err), false)
		return &client.APIError{}
	}
	got := fmt.Sprintf("%d %s", refusal.Status, refusal.Response.ErrorCode)
	want(r, what, fmt.Sprintf("%d %s", status, code), got)
	return refusal
}

// dial makes a client of its own, with connections of its own.
func (r *run) dial(server string) *client.Client {
	made, err := client.New(server, client.WithDisableMTLS(true))
	if err != nil {
		fmt.Fprintf(os.Stderr, "interop: no client for %s: %v\n", server, err)
		os.Exit(1)
	}
	return made
}

// acquire takes a key that must be had; without it nothing that follows could be judged.
func (r *run) acquire(by *client.Client, key, owner string, ttl, block int64) *client.LeaseSession {
	lease, err := by.Acquire(r.ctx, api.AcquireRequest{Key: key, Owner: owner, TTLSeconds: ttl, BlockSecs: block})
	if err != nil {
		fmt.Printf("FAILED  %s acquires %s: expected a lease, got %v\n", owner, key, err)
		os.Exit(1)
	}
	return lease
}

// public is the committed state, as somebody without a lease reads it; "" when there is none.
func (r *run) public(key string) string {
	answer, err := r.dial(r.server).Get(r.ctx, key)
	if err != nil {
		return "error: " + err.Error()
	}
	defer answer.Close()
	if !answer.HasState {
		return ""
	}
	body, err := answer.Bytes()
	if err != nil {
		return "error: " + err.Error()
	}
	return string(body)
}

// waiters polls for the number of those who wait for a key, which the client does not show, until it is the wanted one.
func (r *run) waiters(key string, wanted int) bool {
	for r.ctx.Err() == nil {
		answer, err := http.Get(r.server + "/v1/describe?key=" + url.QueryEscape(key))
		if err != nil {
			return false
		}
		var seen struct{ Waiters int }
		err = json.NewDecoder(answer.Body).Decode(&seen)
		answer.Body.Close()
		if err == nil && seen.Waiters == wanted {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
