// The Go side of the benchmark: the cases of bench/src/cases.rs, one case a process.
//
// It takes the arguments that the Rust children take and tells its reading as the same line of JSON
// (bench/src/child.rs).
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A timed case runs n operations and says how long they took.
var timed = map[string]func(n int) time.Duration{
	"spawn_batch": spawnBatch,
	"spawn_seq":   spawnSeq,
	"yield_2":     func(n int) time.Duration { return yield(2, n) },
	"yield_1000":  func(n int) time.Duration { return yield(1000, n) },
	"once":        once,
	"pool_8":      func(n int) time.Duration { return pool(8, n) },
	"mutex_8":     func(n int) time.Duration { return mutex(8, n) },
	"rwlock_8":    func(n int) time.Duration { return rwLock(8, n) },
	"cond_2":      cond,
	"ping_pong":   pingPong,
	"seq_1":       seq,
	"spsc_0":      func(n int) time.Duration { return messages(1, 1, 0, n) },
	"spsc_128":    func(n int) time.Duration { return messages(1, 1, 128, n) },
	"mpsc_0":      func(n int) time.Duration { return messages(4, 1, 0, n) },
	"mpsc_128":    func(n int) time.Duration { return messages(4, 1, 128, n) },
	"mpmc_0":      func(n int) time.Duration { return messages(4, 4, 0, n) },
	"mpmc_128":    func(n int) time.Duration { return messages(4, 4, 128, n) },
	"seq_n":       fill,
	"spsc_1":      func(n int) time.Duration { return messages(1, 1, 1, n) },
	"spsc_n":      func(n int) time.Duration { return messages(1, 1, n, n) },
	"mpsc_1":      func(n int) time.Duration { return messages(4, 1, 1, n) },
	"mpsc_n":      func(n int) time.Duration { return messages(4, 1, n, n) },
	"mpmc_1":      func(n int) time.Duration { return messages(4, 4, 1, n) },
	"mpmc_n":      func(n int) time.Duration { return messages(4, 4, n, n) },
	"select_1":    func(n int) time.Duration { return selecting(1, n) },
	"select_n":    func(n int) time.Duration { return selecting(n, n) },
	"select_both_0": func(n int) time.Duration { return selectBoth(0, n) },
	"select_both_1": func(n int) time.Duration { return selectBoth(1, n) },
	"select_both_n": func(n int) time.Duration { return selectBoth(n, n) },
	"select_0":    func(n int) time.Duration { return selecting(0, n) },
	"select_128":  func(n int) time.Duration { return selecting(128, n) },
	"arms_1": func(n int) time.Duration { return armsReady(1, n) },
	"arms_4": func(n int) time.Duration { return armsReady(4, n) },
	"arms_64": func(n int) time.Duration { return armsReady(64, n) },
	"arms_1024": func(n int) time.Duration { return armsReady(1024, n) },
	"arms_wait_1": func(n int) time.Duration { return armsWaitedFor(1, n) },
	"arms_wait_4": func(n int) time.Duration { return armsWaitedFor(4, n) },
	"arms_wait_64": func(n int) time.Duration { return armsWaitedFor(64, n) },
	"arms_wait_1024": func(n int) time.Duration { return armsWaitedFor(1024, n) },
	"sieve":       sieve,
	"skynet":      skynet,
	"daisy":       daisy,
	"pipeline_8":  func(n int) time.Duration { return pipeline(n, 0) },
	"stage":       stage,
	"sleepers":    sleepers,
	"context_100k": cancelMany,
	"echo_1":      func(n int) time.Duration { return echo(1, n) },
	"echo_100":    func(n int) time.Duration { return echo(100, n) },
	"echo_10k":    func(n int) time.Duration { return echo(connections(10000), n) },
	"park_1m":     parkMany,
	"flat_1k_1m":  cycleMany,
}

// A valued case gives a reading in its own unit.
var valued = map[string]func(n int) float64{
	"mem_parked":        memParked,
	"mem_conn":          memConn,
	"mem_unstarted":     memUnstarted,
	"idle_cpu":          idleCPU,
	"rss_after":         rssAfter,
	"speedup_fork_join": speedupForkJoin,
	"speedup_workers":   speedupWorkers,
	"speedup_pipeline":  speedupPipeline,
	"speedup_primes":    speedupPrimes,
	"http":              helloWorld("rate"),
	"http_p50":          helloWorld("p50"),
	"http_p99":          helloWorld("p99"),
	"http_p999":         helloWorld("p999"),
	"http_cpu":          helloWorld("cpu"),
	"http_plain":        plain("rate"),
	"http_plain_p50":    plain("p50"),
	"http_plain_p99":    plain("p99"),
	"wake_p50":          wakes(false, 0.5),
	"wake_p99":          wakes(false, 0.99),
	"wake_p999":         wakes(false, 0.999),
	"late_p50":          wakes(true, 0.5),
	"late_p99":          wakes(true, 0.99),
	"late_p999":         wakes(true, 0.999),
}

const (
	grain       = 8000
	mostRepeats = 10
)

func main() {
	var name, scale string
	for i := 1; i+1 < len(os.Args); i++ {
		switch os.Args[i] {
		case "--case":
			name = os.Args[i+1]
		case "--scale":
			scale = os.Args[i+1]
		}
	}
	parts := strings.Split(scale, ",")
	if len(parts) != 3 {
		fail("`" + scale + "` is not MODE,COUNT,MILLISECONDS")
	}
	count, _ := strconv.Atoi(parts[1])
	targetMS, _ := strconv.Atoi(parts[2])
	if read, ok := valued[name]; ok {
		fmt.Printf("{\"value\":%g}\n", read(count))
	} else if run, ok := timed[name]; ok {
		count, elapsed := measure(parts[0], count, targetMS, run)
		fmt.Printf("{\"timed\":{\"count\":%d,\"ns\":%d}}\n", count, elapsed.Nanoseconds())
	} else {
		fail("there is no case `" + name + "`")
	}
}

func fail(reason string) {
	fmt.Fprintln(os.Stderr, reason, "on", runtime.Version())
	os.Exit(1)
}

// measure warms up and runs, as `timed` in bench/src/child.rs does.
func measure(mode string, count, targetMS int, run func(int) time.Duration) (int, time.Duration) {
	switch mode {
	case "steady":
		target := float64(targetMS) * 1e6
		count := grain
		elapsed := run(count)
		for range mostRepeats {
			factor := min(max(target/max(float64(elapsed), 1), 1), 16)
			count = (int(float64(count)*factor) + grain - 1) / grain * grain
			elapsed = run(count)
			if float64(elapsed) >= target/2 {
				break
			}
		}
		return count, elapsed
	case "repeat":
		run(max(count/10, 1))
		repeats, sum := 0, time.Duration(0)
		for repeats == 0 || (repeats < mostRepeats && sum < time.Duration(targetMS)*time.Millisecond) {
			sum += run(count)
			repeats++
		}
		return count, sum / time.Duration(repeats)
	default:
		run(10)
		return count, run(count)
	}
}
