package main

import (
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The most time that a system is warmed up before a run counts; else half of the run, as `lockd bench` does.
const warmUpMax = 2 * time.Second

// A client does one operation after the other.
type client func() error

// drive lets the clients work as fast as they are answered: once to warm up, then for the run. What has begun is waited for, and so
// is the time that it takes.
func drive(clients []client, d time.Duration) (result, error) {
	if _, err := loop(clients, min(d/2, warmUpMax)); err != nil {
		return result{}, err
	}
	ownBefore, allBefore, began := ownTime(), machineTime(), time.Now()
	took, err := loop(clients, d)
	if err != nil {
		return result{}, err
	}
	elapsed := time.Since(began).Seconds()
	slices.Sort(took)
	share := 0.0
	if spent := machineTime() - allBefore; spent > 0 {
		share = min(1, (ownTime()-ownBefore)/spent)
	}
	at := func(part float64) time.Duration { return took[int(part*float64(len(took)-1))] }
	return result{perSecond: float64(len(took)) / elapsed, p50: at(0.5), p99: at(0.99), share: share}, nil
}

func loop(clients []client, d time.Duration) ([]time.Duration, error) {
	var (
		lock  sync.Mutex
		all   []time.Duration
		first error
		group sync.WaitGroup
	)
	until := time.Now().Add(d)
	for _, once := range clients {
		group.Add(1)
		go func() {
			defer group.Done()
			var own []time.Duration
			var failed error
			for began := time.Now(); began.Before(until) && failed == nil; {
				failed = once()
				now := time.Now()
				own = append(own, now.Sub(began))
				began = now
			}
			lock.Lock()
			defer lock.Unlock()
			all = append(all, own...)
			if first == nil {
				first = failed
			}
		}()
	}
	group.Wait()
	return all, first
}

// ownTime is the processor time of this process, in seconds.
func ownTime() float64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

// machineTime is the processor time that this machine spent on whatever it was, in seconds: user, nice, system, interrupts of the
// first line of /proc/stat, in hundredths.
func machineTime() float64 {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	ticks := 0
	for _, column := range []int{1, 2, 3, 6, 7} {
		if column < len(fields) {
			ticks += number(fields[column])
		}
	}
	return float64(ticks) / 100
}

func number(text string) int {
	n := 0
	for _, digit := range text {
		if digit < '0' || digit > '9' {
			return 0
		}
		n = n*10 + int(digit-'0')
	}
	return n
}
