package main

import (
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

// wakes tells how long whoever has been woken waits for its turn, where others compute, or how late who has slept is.
func wakes(late bool, share float64) func(n int) float64 {
	return func(n int) float64 {
		steps := 20 * stepsPerUS()
		var done atomic.Bool
		for range 8 {
			go func() {
				for !done.Load() {
					work(steps)
					runtime.Gosched()
				}
			}()
		}
		sent, received := make(chan time.Time), make(chan []time.Duration)
		go func() {
			waits := make([]time.Duration, 0, n)
			for at := range sent {
				waits = append(waits, time.Since(at))
			}
			received <- waits
		}()
		delays := make([]time.Duration, 0, n)
		for number := range n {
			// That of bench/src/peer/mod.rs.
			pause := time.Duration(200+number*7%20) * time.Microsecond
			due := time.Now().Add(pause)
			time.Sleep(pause)
			delays = append(delays, time.Since(due))
			sent <- time.Now()
		}
		close(sent)
		if waits := <-received; !late {
			delays = waits
		}
		done.Store(true)
		slices.Sort(delays)
		return float64(delays[int(float64(n)*share)].Nanoseconds()) / 1e3
	}
}
