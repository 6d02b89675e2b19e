package main

import (
	"fmt"
	"time"

	"pkt.systems/lockd/api"
	"pkt.systems/lockd/client"
)

func leases(r *run) {
	here := r.dial(r.server)
	key := r.key("leases")
	unknown, err := here.Describe(r.ctx, key)
	if r.fine("describe of an unknown key", err) {
		want(r, "its version", 0, unknown.Version)
		want(r, "its owner", "", unknown.Owner)
	}

	lease := r.acquire(here, key, "first", 30, client.BlockNoWait)
	want(r, "the lease's key", key, lease.Key)
	want(r, "its namespace", "default", lease.Namespace)
	want(r, "its owner", "first", lease.Owner)
	want(r, "length of its id", 20, len(lease.LeaseID))
	want(r, "length of its transaction id", 20, len(lease.TxnID))
	r.check("its fencing token", "> 0", fmt.Sprint(lease.FencingToken), lease.FencingToken > 0)
	left := time.Until(time.Unix(lease.ExpiresAt, 0))
	r.check("its end", "in 28 to 31 s", left.String(), left > 28*time.Second && left < 31*time.Second)

	held, err := here.Describe(r.ctx, key)
	if r.fine("describe of a held key", err) {
		want(r, "the owner it names", "first", held.Owner)
		want(r, "the lease it names", lease.LeaseID, held.LeaseID)
	}
	kept, err := lease.KeepAlive(r.ctx, 2*time.Minute)
	if r.fine("keepalive", err) {
		left = time.Until(time.Unix(kept.ExpiresAt, 0))
		r.check("the end it names", "in 118 to 121 s", left.String(), left > 118*time.Second && left < 121*time.Second)
	}

	_, err = r.dial(r.server).Acquire(r.ctx, api.AcquireRequest{Key: key, Owner: "second", TTLSeconds: 30, BlockSecs: client.BlockNoWait})
	refusal := r.refused("acquire of a held key without waiting", 409, "waiting", err)
	// A server waits 1% and a second longer than the TTL before it gives a key on.
	r.check("its Retry-After", "until the lease's end", refusal.RetryAfter.String(),
		refusal.RetryAfter > 118*time.Second && refusal.RetryAfter <= 124*time.Second)

	r.fine("release", lease.Release(r.ctx))
	r.fine("release again, by the session", lease.Release(r.ctx))
	// Another client knows nothing of the session: this one reaches the server.
	other := r.dial(r.server)
	other.RegisterLeaseToken(lease.LeaseID, lease.FencingToken)
	again, err := other.Release(r.ctx, api.ReleaseRequest{Key: key, LeaseID: lease.LeaseID, TxnID: lease.TxnID})
	r.check("release of what is already released", "released", fmt.Sprint(again, err), err == nil && again.Released)

	free, err := here.Describe(r.ctx, key)
	if r.fine("describe of a free key", err) {
		want(r, "the owner it names", "", free.Owner)
	}
	next := r.acquire(here, key, "second", 30, client.BlockNoWait)
	r.check("the next fencing token", fmt.Sprint("> ", lease.FencingToken), fmt.Sprint(next.FencingToken), next.FencingToken > lease.FencingToken)
	r.fine("Close releases", next.Close())

	made := r.acquire(here, "", "nameless", 30, client.BlockNoWait)
	want(r, "length of a key that the server made", 36, len(made.Key))
	r.fine("its release", made.Release(r.ctx))
}

func waiting(r *run) {
	key := r.key("waiting")
	lease := r.acquire(r.dial(r.server), key, "holder", 30, client.BlockNoWait)

	start := time.Now()
	_, err := r.dial(r.server).Acquire(r.ctx, api.AcquireRequest{Key: key, Owner: "impatient", TTLSeconds: 30, BlockSecs: 1})
	took := time.Since(start)
	r.check("acquire that waits 1 s for a held key", "an error after 1 to 3 s", fmt.Sprint(err, " after ", took),
		err != nil && took >= time.Second && took < 3*time.Second)

	granted := make(chan *client.LeaseSession)
	go func() { granted <- r.acquire(r.dial(r.server), key, "waiter", 30, 20) }()
	r.check("a waiter", "is queued", "is not", r.waiters(key, 1))
	released := time.Now()
	r.fine("release with a waiter", lease.Release(r.ctx))
	next := <-granted
	took = time.Since(released)
	r.check("the waiter's grant", "within 5 s", took.String(), took < 5*time.Second)
	r.check("the waiter's fencing token", fmt.Sprint("> ", lease.FencingToken), fmt.Sprint(next.FencingToken), next.FencingToken > lease.FencingToken)
	r.fine("the waiter's release", next.Release(r.ctx))
}

// A lease that ended by itself: its holder is fenced off, and told so.
func expiry(r *run) {
	key := r.key("expiry")
	late := r.acquire(r.dial(r.server), key, "late", 1, client.BlockNoWait)
	r.fine("save under a lease that will lapse", late.Save(r.ctx, map[string]any{"by": "late"}))
	next := r.acquire(r.dial(r.server), key, "next", 30, 10)
	want(r, "what a lapsed lease had staged is gone for the next holder", false, hasState(r, next))
	r.refused("save after the lease has lapsed and another has the key", 403, "lease_required", late.Save(r.ctx, map[string]any{"by": "late"}))
	_, err := late.KeepAlive(r.ctx, 30*time.Second)
	r.refused("keepalive after the same", 403, "lease_required", err)
	r.refused("release after its staged change was dropped", 409, "staged_discarded", late.Release(r.ctx))
	r.fine("the next holder's save", next.Save(r.ctx, map[string]any{"by": "next"}))
	r.fine("the next holder's release", next.Release(r.ctx))
	want(r, "the state", `{"by":"next"}`, r.public(key))
}

// round is one round of everything that matters, on another way to a server.
func round(r *run, server string) {
	key := r.key("round")
	lease := r.acquire(r.dial(server), key, "round", 30, client.BlockNoWait)
	r.fine("save by "+server, lease.Save(r.ctx, map[string]any{"by": "round"}))
	var seen map[string]any
	r.fine("load by "+server, lease.Load(r.ctx, &seen))
	want(r, "what was loaded", "map[by:round]", fmt.Sprint(seen))
	r.fine("release by "+server, lease.Release(r.ctx))
}
