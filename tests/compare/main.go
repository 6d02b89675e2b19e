// The same work on lockd, etcd and Redis, in turn, round after round: what scripts/bench-compare starts.
//
// etcd and Redis are worked on from here, with the calls that people lock by; lockd by its own `lockd bench`. Each system has the
// machine for itself during a run, and every answer that counts is durable.
package main

import (
	"flag"
	"fmt"
	"log"
	"sort"
	"strconv"
	"strings"
	"time"
)

// A work, by the names that the systems know it by.
type work string

const (
	cycle   work = "cycle"
	update  work = "update"
	handoff work = "handoff"
)

// result is what one run came to.
type result struct {
	perSecond float64
	p50, p99  time.Duration
	// The load generator's share of the processor time that the machine spent.
	share float64
}

// A system that is measured.
type system interface {
	name() string
	// can tells whether it has such a work at all.
	can(work) bool
	run(w work, clients int, d time.Duration) (result, error)
}

func main() {
	log.SetFlags(0)
	var (
		binary   = flag.String("lockd", "", "the lockd to measure with")
		servers  = flag.String("servers", "", "NAME=URL of lockd's servers, with commas")
		etcdAt   = flag.String("etcd", "", "the address of etcd")
		redisAt  = flag.String("redis", "", "the address of Redis")
		clients  = flag.String("clients", "1,16,64", "clients at a time")
		rounds   = flag.Int("rounds", 5, "runs of each work on each system")
		duration = flag.Duration("duration", 2*time.Second, "how long a run is")
		works    = flag.String("works", "cycle,update,handoff", "what is measured")
	)
	flag.Parse()
	systems, err := connect(*binary, *servers, *etcdAt, *redisAt)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("| work | clients | system | op/s (range) | p50 | p99 | generator | lockd beside it |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, w := range strings.Split(*works, ",") {
		for _, n := range strings.Split(*clients, ",") {
			count, err := strconv.Atoi(n)
			if err != nil || count < 1 {
				log.Fatalf("%q is no number of clients", n)
			}
			if work(w) == handoff && count < 2 {
				continue
			}
			if err := measure(systems, work(w), count, *rounds, *duration); err != nil {
				log.Fatal(err)
			}
		}
	}
}

func connect(binary, servers, etcdAt, redisAt string) ([]system, error) {
	var all []system
	for _, server := range strings.Split(servers, ",") {
		name, url, found := strings.Cut(server, "=")
		if !found {
			return nil, fmt.Errorf("%q is not NAME=URL", server)
		}
		all = append(all, &lockd{binary: binary, title: name, url: url})
	}
	e, err := newEtcd(etcdAt)
	if err != nil {
		return nil, err
	}
	return append(all, e, &etcdSession{*e}, &redis{address: redisAt}), nil
}

// measure runs all systems in turn, and prints a row for each.
func measure(systems []system, w work, clients, rounds int, d time.Duration) error {
	results := map[string][]result{}
	for round := 0; round < rounds; round++ {
		for _, s := range systems {
			if !s.can(w) {
				continue
			}
			r, err := s.run(w, clients, d)
			if err != nil {
				return fmt.Errorf("%s, %s with %d clients: %w", s.name(), w, clients, err)
			}
			results[s.name()] = append(results[s.name()], r)
		}
	}
	first := results[systems[0].name()]
	for i, s := range systems {
		runs := results[s.name()]
		if runs == nil {
			continue
		}
		beside := ""
		if i > 0 {
			beside = ratios(first, runs)
		}
		fmt.Printf("| %s | %d | %s | %s | %s | %s | %.0f %% | %s |\n", w, clients, s.name(), rates(runs),
			middle(runs, func(r result) float64 { return float64(r.p50) }),
			middle(runs, func(r result) float64 { return float64(r.p99) }),
			100*median(values(runs, func(r result) float64 { return r.share })), beside)
	}
	return nil
}

// ratios is how many times as fast the first system is: the runs of one round are compared with each other.
func ratios(first, other []result) string {
	var all []float64
	for i := range first {
		if other[i].perSecond > 0 {
			all = append(all, first[i].perSecond/other[i].perSecond)
		}
	}
	if len(all) == 0 {
		return "?"
	}
	low, high := bounds(all)
	return fmt.Sprintf("%.2f× (%.2f to %.2f)", median(all), low, high)
}

func rates(runs []result) string {
	all := values(runs, func(r result) float64 { return r.perSecond })
	low, high := bounds(all)
	return fmt.Sprintf("%.0f (%.0f to %.0f)", median(all), low, high)
}

func middle(runs []result, of func(result) float64) string {
	ms := median(values(runs, of)) / float64(time.Millisecond)
	return fmt.Sprintf("%.2f ms", ms)
}

func values(runs []result, of func(result) float64) []float64 {
	all := make([]float64, len(runs))
	for i, r := range runs {
		all[i] = of(r)
	}
	return all
}

func median(values []float64) float64 {
	sorted := append([]float64(nil), values...)
	sort.Float64s(sorted)
	n := len(sorted)
	switch {
	case n == 0:
		return 0
	case n%2 == 1:
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func bounds(values []float64) (low, high float64) {
	low, high = values[0], values[0]
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	return low, high
}
