package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// lockd is a server of it, measured by its own client.
type lockd struct{ binary, title, url string }

func (l *lockd) name() string  { return l.title }
func (l *lockd) can(work) bool { return true }

func (l *lockd) run(w work, clients int, d time.Duration) (result, error) {
	suite := map[work][]string{cycle: {"lease"}, update: {"update", "--states", "1KiB"}, handoff: {"handoff"}}[w]
	args := append([]string{"bench"}, suite...)
	args = append(args, "--server", l.url, "--clients", strconv.Itoa(clients), "--runs", "1", "--duration",
		strconv.FormatInt(d.Milliseconds(), 10)+"ms", "--json", "--quiet")
	out, err := exec.Command(l.binary, args...).Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			return result{}, fmt.Errorf("%w: %s", err, failed.Stderr)
		}
		return result{}, err
	}
	var found struct {
		Results []struct {
			PerSecond struct{ Median float64 }   `json:"per_second"`
			Latency   struct{ P50, P99 float64 } `json:"latency_us"`
			Share     float64                    `json:"generator_cpu_share"`
		}
	}
	if err := json.Unmarshal(out, &found); err != nil {
		return result{}, err
	}
	if len(found.Results) != 1 {
		return result{}, fmt.Errorf("%d results", len(found.Results))
	}
	r := found.Results[0]
	us := func(f float64) time.Duration { return time.Duration(f * float64(time.Microsecond)) }
	return result{perSecond: r.PerSecond.Median, p50: us(r.Latency.P50), p99: us(r.Latency.P99), share: r.Share}, nil
}
