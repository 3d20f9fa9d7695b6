package main

import (
	"runtime"
	"sync"
	"time"
)

func spawnBatch(n int) time.Duration {
	start := time.Now()
	var wg sync.WaitGroup
	wg.Add(n)
	for range n {
		go wg.Done()
	}
	wg.Wait()
	return time.Since(start)
}

func spawnSeq(n int) time.Duration {
	start := time.Now()
	for i := range n {
		value := make(chan int)
		go func() { value <- i }()
		if <-value != i {
			panic("wrong value")
		}
	}
	return time.Since(start)
}

func yield(goroutines, n int) time.Duration {
	start := time.Now()
	var wg sync.WaitGroup
	wg.Add(goroutines)
	for range goroutines {
		go func() {
			defer wg.Done()
			for range n / goroutines {
				runtime.Gosched()
			}
		}()
	}
	wg.Wait()
	return time.Since(start)
}

func sleepers(n int) time.Duration {
	start := time.Now()
	var wg sync.WaitGroup
	wg.Add(n)
	for i := range n {
		length := time.Duration(1000+i%1000) * time.Microsecond
		go func() {
			time.Sleep(length)
			wg.Done()
		}()
	}
	wg.Wait()
	return time.Since(start)
}

func once(n int) time.Duration {
	var once sync.Once
	calls := 0
	call := func() { calls++ }
	once.Do(call)
	start := time.Now()
	for range n {
		once.Do(call)
	}
	elapsed := time.Since(start)
	if calls != 1 {
		panic("called again")
	}
	return elapsed
}

func pool(goroutines, n int) time.Duration {
	buffers := sync.Pool{New: func() any {
		buffer := make([]byte, 1024)
		return &buffer
	}}
	start := time.Now()
	var wg sync.WaitGroup
	wg.Add(goroutines)
	for range goroutines {
		go func() {
			defer wg.Done()
			for i := range n / goroutines {
				buffer := buffers.Get().(*[]byte)
				(*buffer)[0] = byte(i)
				buffers.Put(buffer)
			}
		}()
	}
	wg.Wait()
	return time.Since(start)
}

func mutex(goroutines, n int) time.Duration {
	var lock sync.Mutex
	count := 0
	start := time.Now()
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range n / goroutines {
				lock.Lock()
				count++
				lock.Unlock()
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	if count != n/goroutines*goroutines {
		panic("wrong count")
	}
	return elapsed
}

func rwLock(goroutines, n int) time.Duration {
	var lock sync.RWMutex
	count := 0
	start := time.Now()
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := range n / goroutines {
				if i%10 == 0 {
					lock.Lock()
					count++
					lock.Unlock()
				} else {
					lock.RLock()
					if count < 0 {
						panic("wrong count")
					}
					lock.RUnlock()
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func cond(n int) time.Duration {
	var lock sync.Mutex
	conds := [2]*sync.Cond{sync.NewCond(&lock), sync.NewCond(&lock)}
	turn := 0
	start := time.Now()
	var wg sync.WaitGroup
	for me := range 2 {
		wg.Go(func() {
			lock.Lock()
			for range n / 2 {
				for turn != me {
					conds[me].Wait()
				}
				turn = 1 - me
				conds[turn].Signal()
			}
			lock.Unlock()
		})
	}
	wg.Wait()
	return time.Since(start)
}

func pingPong(n int) time.Duration {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for v := range ping {
			pong <- v
		}
	}()
	start := time.Now()
	for i := range n {
		ping <- i
		if <-pong != i {
			panic("wrong value")
		}
	}
	elapsed := time.Since(start)
	close(ping)
	return elapsed
}

func seq(n int) time.Duration {
	c := make(chan int, 1)
	start := time.Now()
	for i := range n {
		c <- i
		if <-c != i {
			panic("wrong value")
		}
	}
	return time.Since(start)
}

// fill: n numbers are sent, and then they are received.
func fill(n int) time.Duration {
	start := time.Now()
	c := make(chan int, n)
	for i := range n {
		c <- i
	}
	for i := range n {
		if <-c != i {
			panic("wrong value")
		}
	}
	return time.Since(start)
}

// messages: n numbers from some senders to some receivers over one channel; the last sender closes it.
func messages(senders, receivers, capacity, n int) time.Duration {
	start := time.Now()
	c := make(chan int, capacity)
	got := make(chan int, receivers)
	var sending sync.WaitGroup
	for range receivers {
		go func() {
			count := 0
			for range c {
				count++
			}
			got <- count
		}()
	}
	sending.Add(senders)
	for range senders {
		go func() {
			defer sending.Done()
			for i := range n / senders {
				c <- i
			}
		}()
	}
	go func() {
		sending.Wait()
		close(c)
	}()
	count := 0
	for range receivers {
		count += <-got
	}
	elapsed := time.Since(start)
	if count != n {
		panic("lost messages")
	}
	return elapsed
}

func selecting(capacity, n int) time.Duration {
	start := time.Now()
	var c [4]chan int
	for k := range c {
		ch := make(chan int, capacity)
		c[k] = ch
		go func() {
			for i := range n / 4 {
				ch <- i
			}
			close(ch)
		}()
	}
	got, open := 0, 4
	for open > 0 {
		k, ok := 0, false
		select {
		case _, ok = <-c[0]:
			k = 0
		case _, ok = <-c[1]:
			k = 1
		case _, ok = <-c[2]:
			k = 2
		case _, ok = <-c[3]:
			k = 3
		}
		if ok {
			got++
		} else {
			c[k] = nil
			open--
		}
	}
	elapsed := time.Since(start)
	if got != n/4*4 {
		panic("lost messages")
	}
	return elapsed
}

// selectBoth: n numbers from four senders to four receivers, each of whom selects over the same four channels.
func selectBoth(capacity, n int) time.Duration {
	start := time.Now()
	var c [4]chan int
	for k := range c {
		c[k] = make(chan int, capacity)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range n / 4 {
				select {
				case c[0] <- i:
				case c[1] <- i:
				case c[2] <- i:
				case c[3] <- i:
				}
			}
		})
		all.Go(func() {
			for range n / 4 {
				select {
				case <-c[0]:
				case <-c[1]:
				case <-c[2]:
				case <-c[3]:
				}
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

// sieve leaves its goroutines parked, as the textbook program does: ending them would need a select at every send.
func sieve(primes int) time.Duration {
	start := time.Now()
	numbers := make(chan int)
	go func(out chan<- int) {
		for i := 2; ; i++ {
			out <- i
		}
	}(numbers)
	prime := 0
	for range primes {
		prime = <-numbers
		prime, in, out := prime, numbers, make(chan int)
		go func() {
			for v := range in {
				if v%prime != 0 {
					out <- v
				}
			}
		}()
		numbers = out
	}
	elapsed := time.Since(start)
	if primes == 2000 && prime != 17389 {
		panic("not the 2000th prime")
	}
	return elapsed
}

func skynet(leaves int) time.Duration {
	start := time.Now()
	out := make(chan int)
	go node(out, 0, leaves)
	sum := <-out
	elapsed := time.Since(start)
	if sum != leaves*(leaves-1)/2 {
		panic("wrong sum")
	}
	return elapsed
}

func node(out chan<- int, number, size int) {
	if size < 10 {
		out <- number
		return
	}
	in, sum := make(chan int), 0
	for i := range 10 {
		go node(in, number+i*(size/10), size/10)
	}
	for range 10 {
		sum += <-in
	}
	out <- sum
}

func daisy(n int) time.Duration {
	start := time.Now()
	leftmost := make(chan int)
	left := leftmost
	for range n {
		right := make(chan int)
		go func(left chan<- int, right <-chan int) { left <- 1 + <-right }(left, right)
		left = right
	}
	go func() { left <- 0 }()
	got := <-leftmost
	elapsed := time.Since(start)
	if got != n {
		panic("wrong count")
	}
	return elapsed
}

// pipeline: eight stages, each does its steps of work and adds one.
func pipeline(n, steps int) time.Duration {
	first := make(chan int)
	in := first
	var ready sync.WaitGroup
	ready.Add(8)
	for range 8 {
		out := make(chan int)
		go func(in <-chan int, out chan<- int) {
			ready.Done()
			for v := range in {
				work(steps)
				out <- v + 1
			}
			close(out)
		}(in, out)
		in = out
	}
	ready.Wait()
	time.Sleep(time.Millisecond) // for the last of them to park
	start := time.Now()
	go func() {
		for i := range n {
			first <- i
		}
		close(first)
	}()
	count := 0
	for v := range in {
		if v != count+8 {
			panic("wrong value")
		}
		count++
	}
	elapsed := time.Since(start)
	if count != n {
		panic("lost items")
	}
	return elapsed
}
