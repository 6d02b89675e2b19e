package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	etcdclient "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

// How long a lease lives without renewal, in seconds: as lockd's.
const ttl = 30

// A state of 1 KiB.
var state = strings.Repeat("a", 1024)

var errHeld = errors.New("the key is held by another")

// etcd, with a lease of its own for each cycle: what a program does that locks once.
type etcd struct{ client *etcdclient.Client }

func newEtcd(address string) (*etcd, error) {
	c, err := etcdclient.New(etcdclient.Config{Endpoints: []string{address}, DialTimeout: 5 * time.Second})
	return &etcd{c}, err
}

func (e *etcd) name() string    { return "etcd" }
func (e *etcd) can(w work) bool { return true }

func (e *etcd) run(w work, clients int, d time.Duration) (result, error) {
	ctx := context.Background()
	if w == handoff {
		return e.handoff(ctx, clients, d)
	}
	all := make([]client, clients)
	for i := range all {
		key := fmt.Sprintf("lock/%d", i)
		all[i] = func() error {
			lease, err := e.client.Grant(ctx, ttl)
			if err != nil {
				return err
			}
			revision, err := e.create(ctx, key, lease.ID)
			if err != nil {
				return err
			}
			if w == update {
				if err := e.put(ctx, key, revision); err != nil {
					return err
				}
			}
			_, err = e.client.Revoke(ctx, lease.ID)
			return err
		}
	}
	return drive(all, d)
}

func (e *etcd) create(ctx context.Context, key string, lease etcdclient.LeaseID) (int64, error) {
	absent := etcdclient.Compare(etcdclient.CreateRevision(key), "=", 0)
	made, err := e.client.Txn(ctx).If(absent).Then(etcdclient.OpPut(key, "", etcdclient.WithLease(lease))).Commit()
	if err == nil && !made.Succeeded {
		err = errHeld
	}
	if err != nil {
		return 0, err
	}
	return made.Header.Revision, nil
}

// put writes the state in the transaction that checks the lock.
func (e *etcd) put(ctx context.Context, key string, revision int64) error {
	ours := etcdclient.Compare(etcdclient.CreateRevision(key), "=", revision)
	done, err := e.client.Txn(ctx).If(ours).Then(etcdclient.OpPut("state/"+key, state)).Commit()
	if err == nil && !done.Succeeded {
		err = errHeld
	}
	return err
}

// handoff is the client's own mutex, with a session for each client: as `etcdctl lock`.
func (e *etcd) handoff(ctx context.Context, clients int, d time.Duration) (result, error) {
	all := make([]client, clients)
	for i := range all {
		session, err := concurrency.NewSession(e.client, concurrency.WithTTL(ttl))
		if err != nil {
			return result{}, err
		}
		defer session.Close()
		mutex := concurrency.NewMutex(session, "/handoff")
		all[i] = func() error {
			if err := mutex.Lock(ctx); err != nil {
				return err
			}
			return mutex.Unlock(ctx)
		}
	}
	return drive(all, d)
}

// etcdSession keeps one lease for each client: what a program does that locks all the time.
type etcdSession struct{ etcd }

func (e *etcdSession) name() string    { return "etcd, one session" }
func (e *etcdSession) can(w work) bool { return w != handoff }

func (e *etcdSession) run(w work, clients int, d time.Duration) (result, error) {
	ctx := context.Background()
	all := make([]client, clients)
	for i := range all {
		key := fmt.Sprintf("lock/%d", i)
		session, err := concurrency.NewSession(e.client, concurrency.WithTTL(ttl))
		if err != nil {
			return result{}, err
		}
		defer session.Close()
		all[i] = func() error {
			revision, err := e.create(ctx, key, session.Lease())
			if err != nil {
				return err
			}
			if w == update {
				if err := e.put(ctx, key, revision); err != nil {
					return err
				}
			}
			_, err = e.client.Delete(ctx, key)
			return err
		}
	}
	return drive(all, d)
}
