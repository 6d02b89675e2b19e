package main

import (
	"bytes"
	"fmt"
	"strings"

	"pkt.systems/lockd/api"
	"pkt.systems/lockd/client"
)

func hasState(r *run, lease *client.LeaseSession) bool {
	state, err := lease.Get(r.ctx)
	if err != nil {
		r.fine("get by "+lease.Owner, err)
		return false
	}
	defer state.Close()
	return state.HasState
}

func states(r *run) {
	here := r.dial(r.server)
	key := r.key("states")
	lease := r.acquire(here, key, "states", 30, client.BlockNoWait)
	want(r, "get where there is no state", false, hasState(r, lease))
	want(r, "public get where there is none", "", r.public(key))

	result, err := lease.UpdateBytes(r.ctx, []byte(`{ "n": 1, "s": "a b" }`))
	if r.fine("update", err) {
		want(r, "the version it makes", 1, result.NewVersion)
		want(r, "length of its ETag", 64, len(result.NewStateETag))
	}
	body, err := lease.GetBytes(r.ctx)
	r.fine("get by the holder", err)
	want(r, "the holder reads its own change", `{"n":1,"s":"a b"}`, string(body))
	want(r, "nobody else does", "", r.public(key))

	r.fine("save", lease.Save(r.ctx, map[string]any{"n": 2}))
	var seen struct{ N int }
	r.fine("load", lease.Load(r.ctx, &seen))
	want(r, "what was loaded", 2, seen.N)
	r.fine("release", lease.Release(r.ctx))
	want(r, "release commits", `{"n":2}`, r.public(key))
	seen.N = 0
	r.fine("load without a lease", here.Load(r.ctx, key, &seen))
	want(r, "what was loaded", 2, seen.N)
	known, err := here.Describe(r.ctx, key)
	if r.fine("describe", err) {
		want(r, "its version", lease.Version, known.Version)
		want(r, "length of its ETag", 64, len(known.StateETag))
		r.check("the time of its update", "> 0", fmt.Sprint(known.UpdatedAt), known.UpdatedAt > 0)
	}

	_, err = here.Acquire(r.ctx, api.AcquireRequest{Key: key, Owner: "creator", TTLSeconds: 30, BlockSecs: client.BlockNoWait, IfNotExists: true})
	r.refused("acquire of what may not exist", 409, "already_exists", err)
	want(r, "IsAlreadyExists", true, client.IsAlreadyExists(err))
}

func guards(r *run) {
	key := r.key("guards")
	lease := r.acquire(r.dial(r.server), key, "guards", 30, client.BlockNoWait)
	r.fine("save", lease.Save(r.ctx, map[string]any{"n": 1}))
	body := func() *strings.Reader { return strings.NewReader(`{"n":9}`) }
	_, err := lease.UpdateWithOptions(r.ctx, body(), client.UpdateOptions{IfVersion: client.Int64(7)})
	refusal := r.refused("update with another version", 409, "version_conflict", err)
	want(r, "the version it names", lease.Version, refusal.Response.CurrentVersion)
	_, err = lease.UpdateWithOptions(r.ctx, body(), client.UpdateOptions{IfETag: strings.Repeat("0", 64)})
	refusal = r.refused("update with another ETag", 409, "etag_mismatch", err)
	want(r, "the ETag it names", lease.StateETag, refusal.Response.CurrentETag)
	_, err = lease.UpdateWithOptions(r.ctx, body(), client.UpdateOptions{FencingToken: client.Int64(lease.FencingToken + 1)})
	r.refused("update with another fencing token", 403, "fencing_mismatch", err)
	_, err = lease.UpdateWithOptions(r.ctx, body(), client.UpdateOptions{TxnID: "00000000000000000000"})
	r.refused("update with another transaction id", 409, "txn_mismatch", err)
	_, err = lease.UpdateWithOptions(r.ctx, body(), client.UpdateOptions{ExpectedBytes: client.Int64(8)})
	r.refused("update with another length", 409, "expected_bytes_mismatch", err)
	_, err = lease.UpdateWithOptions(r.ctx, body(), client.UpdateOptions{ExpectedSHA256: strings.Repeat("0", 64)})
	r.refused("update with another digest", 409, "expected_sha256_mismatch", err)
	_, err = lease.UpdateBytes(r.ctx, []byte(`{"n":`))
	r.refused("update with half a document", 400, "invalid_body", err)
	_, err = lease.RemoveWithOptions(r.ctx, client.RemoveOptions{IfVersion: client.Int64(7)})
	r.refused("remove with another version", 409, "version_conflict", err)
	r.fine("release", lease.Release(r.ctx))
	want(r, "what was refused changed nothing", `{"n":1}`, r.public(key))
}

func commits(r *run) {
	here := r.dial(r.server)
	key := r.key("commits")
	lease := r.acquire(here, key, "commit", 30, client.BlockNoWait)
	r.fine("save", lease.Save(r.ctx, map[string]any{"n": 1}))
	r.fine("release", lease.Release(r.ctx))
	lease = r.acquire(here, key, "rollback", 30, client.BlockNoWait)
	want(r, "acquire names the version", 1, lease.Version)
	r.fine("save", lease.Save(r.ctx, map[string]any{"n": 2}))
	r.fine("release with rollback", lease.ReleaseWithOptions(r.ctx, client.ReleaseOptions{Rollback: true}))
	want(r, "the state after the rollback", `{"n":1}`, r.public(key))
}

func removal(r *run) {
	here := r.dial(r.server)
	key := r.key("removal")
	lease := r.acquire(here, key, "removal", 30, client.BlockNoWait)
	r.fine("save", lease.Save(r.ctx, map[string]any{"n": 1}))
	r.fine("release", lease.Release(r.ctx))
	lease = r.acquire(here, key, "removal", 30, client.BlockNoWait)
	removed, err := lease.Remove(r.ctx)
	if r.fine("remove", err) {
		want(r, "it says removed", true, removed.Removed)
		want(r, "the version it makes", 2, removed.NewVersion)
	}
	want(r, "the holder sees no state", false, hasState(r, lease))
	want(r, "others see it still", `{"n":1}`, r.public(key))
	r.fine("release", lease.Release(r.ctx))
	want(r, "release commits the removal", "", r.public(key))
	lease = r.acquire(here, key, "removal", 30, client.BlockNoWait)
	removed, err = lease.Remove(r.ctx)
	r.check("remove where there is no state", "removed false", fmt.Sprint(removed, err), err == nil && !removed.Removed)
	r.fine("release", lease.Release(r.ctx))
}

// A state of some size, sent as a stream.
func streams(r *run) {
	key := r.key("streams")
	document := []byte(`{"filler":"` + strings.Repeat("0123456789abcdef", 1<<18) + `"}`)
	lease := r.acquire(r.dial(r.server), key, "streams", 30, client.BlockNoWait)
	result, err := lease.Update(r.ctx, bytes.NewReader(document))
	if r.fine("update of 4 MiB", err) {
		want(r, "the bytes it names", int64(len(document)), result.BytesWritten)
	}
	r.fine("release", lease.Release(r.ctx))
	want(r, "what is read is what was sent", true, r.public(key) == string(document))
}
