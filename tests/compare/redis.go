package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// redis locks as its documentation says: SET NX PX with a random value, and a script that deletes it when it is still that one. A
// connection for each client, and its protocol by hand: no client is faster.
type redis struct{ address string }

func (r *redis) name() string { return "Redis, fsync always" }

// It has nobody wait.
func (r *redis) can(w work) bool { return w != handoff }

const (
	giveBack = `if redis.call("get",KEYS[1])==ARGV[1] then return redis.call("del",KEYS[1]) else return 0 end`
	replace  = `if redis.call("get",KEYS[1])==ARGV[1] then redis.call("set",KEYS[2],ARGV[2]) return 1 else return 0 end`
)

func (r *redis) run(w work, clients int, d time.Duration) (result, error) {
	all := make([]client, clients)
	for i := range all {
		c, err := net.Dial("tcp", r.address)
		if err != nil {
			return result{}, err
		}
		defer c.Close()
		line := &line{c, bufio.NewReader(c), nil}
		once, err := line.client(w, fmt.Sprintf("lock/%d", i))
		if err != nil {
			return result{}, err
		}
		all[i] = once
	}
	return drive(all, d)
}

// line is a connection.
type line struct {
	to   io.Writer
	from *bufio.Reader
	out  []byte
}

func (l *line) client(w work, key string) (client, error) {
	release, err := l.call("SCRIPT", "LOAD", giveBack)
	if err != nil {
		return nil, err
	}
	change, err := l.call("SCRIPT", "LOAD", replace)
	if err != nil {
		return nil, err
	}
	millis, n := strconv.Itoa(ttl*1000), 0
	return func() error {
		n++
		token := strconv.Itoa(n)
		if err := l.expect("OK", "SET", key, token, "NX", "PX", millis); err != nil {
			return err
		}
		if w == update {
			if err := l.expect("1", "EVALSHA", change, "2", key, "state/"+key, token, state); err != nil {
				return err
			}
		}
		return l.expect("1", "EVALSHA", release, "1", key, token)
	}, nil
}

func (l *line) expect(answer string, words ...string) error {
	got, err := l.call(words...)
	if err == nil && got != answer {
		err = fmt.Errorf("%s: %s", words[0], got)
	}
	return err
}

func (l *line) call(words ...string) (string, error) {
	out := append(l.out[:0], '*')
	out = append(strconv.AppendInt(out, int64(len(words)), 10), "\r\n"...)
	for _, word := range words {
		out = append(strconv.AppendInt(append(out, '$'), int64(len(word)), 10), "\r\n"...)
		out = append(append(out, word...), "\r\n"...)
	}
	l.out = out
	if _, err := l.to.Write(out); err != nil {
		return "", err
	}
	return l.answer()
}

func (l *line) answer() (string, error) {
	text, err := l.from.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, rest := text[0], strings.TrimRight(text[1:], "\r\n")
	switch kind {
	case '-':
		return "", fmt.Errorf("redis: %s", rest)
	case '$':
		length, err := strconv.Atoi(rest)
		if err != nil || length < 0 {
			return "", err
		}
		body := make([]byte, length+2)
		_, err = io.ReadFull(l.from, body)
		return string(body[:length]), err
	}
	return rest, nil
}
