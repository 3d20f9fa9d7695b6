package main

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A crowd of goroutines that are parked in a receive on one channel, or on their way there.
type crowd struct {
	gate  chan struct{}
	ended sync.WaitGroup
}

// gather starts n of them and returns when all have come to their receive.
func gather(n int) *crowd {
	c := &crowd{gate: make(chan struct{})}
	var here sync.WaitGroup
	here.Add(n)
	c.ended.Add(n)
	for range n {
		go func() {
			here.Done()
			<-c.gate
			c.ended.Done()
		}()
	}
	here.Wait()
	return c
}

// release closes the channel and returns when all have ended.
func (c *crowd) release() {
	close(c.gate)
	c.ended.Wait()
}

func parkMany(n int) time.Duration {
	start := time.Now()
	c := gather(n)
	elapsed := time.Since(start)
	c.release()
	return elapsed
}

func cycleMany(n int) time.Duration {
	start := time.Now()
	gather(n).release()
	return time.Since(start)
}

// settle is the time given to the last of a crowd to park.
const settle = 100 * time.Millisecond

func memParked(n int) float64 {
	gather(1000).release()
	before := footprint()
	c := gather(n)
	time.Sleep(settle)
	each := float64(max(footprint()-before, 0)) / float64(n)
	c.release()
	return each
}

// memUnstarted: Go gives a goroutine its stack when it is made, so it does not matter that some get to start when
// the spawner is preempted: they park.
func memUnstarted(n int) float64 {
	runtime.GOMAXPROCS(1)
	gather(1000).release()
	c := &crowd{gate: make(chan struct{})}
	before := footprint()
	c.ended.Add(n)
	for range n {
		go func() {
			<-c.gate
			c.ended.Done()
		}()
	}
	each := float64(max(footprint()-before, 0)) / float64(n)
	c.release()
	return each
}

// idleCPU is milliseconds of CPU used in two seconds in which everything is parked.
func idleCPU(n int) float64 {
	c := gather(n)
	time.Sleep(time.Second)
	before := cpuTime()
	time.Sleep(2 * time.Second)
	used := cpuTime() - before
	c.release()
	return float64(used.Microseconds()) / 1000
}

// rssAfter is what stays resident, in MiB, a second after the crowd has gone.
func rssAfter(n int) float64 {
	gather(10).release()
	before := resident()
	gather(n).release()
	time.Sleep(time.Second)
	return float64(max(resident()-before, 0)) / (1 << 20)
}

func resident() int { return status("VmRSS:") }

func footprint() int { return status("VmRSS:") + status("VmPTE:") }

func status(name string) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kib * 1024
		}
	}
	return 0
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// speedup is the time with one worker over the time with two: each three times, in turn, medians divided.
func speedup(run func() time.Duration) float64 {
	var times [2][]time.Duration
	for range 3 {
		for i := range 2 {
			runtime.GOMAXPROCS(i + 1)
			times[i] = append(times[i], run())
		}
	}
	slices.Sort(times[0])
	slices.Sort(times[1])
	return float64(times[0][1]) / float64(times[1][1])
}

func speedupForkJoin(n int) float64 {
	return speedup(func() time.Duration {
		start := time.Now()
		forkJoin(n)
		return time.Since(start)
	})
}

const fibCutOff = 22

func forkJoin(n int) int {
	if n <= fibCutOff {
		return fib(n)
	}
	half := make(chan int)
	go func() { half <- forkJoin(n - 1) }()
	other := forkJoin(n - 2)
	return <-half + other
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func speedupWorkers(n int) float64 {
	steps := 50 * stepsPerUS()
	return speedup(func() time.Duration {
		jobs := make(chan int)
		var wg sync.WaitGroup
		wg.Add(4)
		start := time.Now()
		for range 4 {
			go func() {
				defer wg.Done()
				for range jobs {
					work(steps)
				}
			}()
		}
		for i := range n {
			jobs <- i
		}
		close(jobs)
		wg.Wait()
		return time.Since(start)
	})
}

func speedupPipeline(n int) float64 {
	steps := 20 * stepsPerUS()
	return speedup(func() time.Duration { return pipeline(n, steps) })
}

var sink uint64

// work is the loop of the same name in bench/src/gauge.rs.
func work(steps int) {
	x := uint64(1)
	for range steps {
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 0 {
		sink = x
	}
}

func stepsPerUS() int {
	const steps = 2_000_000
	best := time.Hour
	for range 5 {
		start := time.Now()
		work(steps)
		best = min(best, time.Since(start))
	}
	return max(int(steps*1000/best.Nanoseconds()), 1)
}

func cancelMany(n int) time.Duration {
	ctx, cancel := context.WithCancel(context.Background())
	var ready, ended sync.WaitGroup
	ready.Add(n)
	ended.Add(n)
	for range n {
		go func() {
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			done := child.Done()
			ready.Done()
			<-done
			ended.Done()
		}()
	}
	ready.Wait()
	time.Sleep(settle)
	start := time.Now()
	cancel()
	ended.Wait()
	return time.Since(start)
}
