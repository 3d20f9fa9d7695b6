package main

import (
	"sync"
	"time"
)

// generate sends n numbers, each in a select with done, as the notes do: from, from+step, ...
func generate(done <-chan struct{}, n, from, step int) <-chan int {
	numbers := make(chan int)
	go func() {
		defer close(numbers)
		for i := range n {
			select {
			case <-done:
				return
			case numbers <- from + step*i:
			}
		}
	}()
	return numbers
}

// stage: numbers through one stage that adds one, all to be cancelled by done.
func stage(n int) time.Duration {
	done := make(chan struct{})
	defer close(done)
	start := time.Now()
	numbers := generate(done, n, 0, 1)
	more := make(chan int)
	go func() {
		defer close(more)
		for i := range numbers {
			select {
			case <-done:
				return
			case more <- i + 1:
			}
		}
	}()
	sum := 0
	for i := range more {
		sum += i
	}
	elapsed := time.Since(start)
	if sum != n*(n+1)/2 {
		panic("wrong sum")
	}
	return elapsed
}

// primesFrom and isPrime are those of bench/src/peer/mod.rs.
const primesFrom = 100_001

func isPrime(n int) bool {
	for divisor := 2; divisor < n; divisor++ {
		if n%divisor == 0 {
			return false
		}
	}
	return true
}

func speedupPrimes(n int) float64 {
	finders := 0
	return speedup(func() time.Duration {
		// speedup runs it with one worker and with two by turns.
		finders = finders%2 + 1
		return primes(finders, n)
	})
}

func primes(finders, n int) time.Duration {
	done := make(chan struct{})
	defer close(done)
	start := time.Now()
	candidates := generate(done, n, primesFrom, 2)
	found := make(chan int)
	var wg sync.WaitGroup
	wg.Add(finders)
	for range finders {
		go func() {
			defer wg.Done()
			for candidate := range candidates {
				if isPrime(candidate) {
					select {
					case <-done:
						return
					case found <- candidate:
					}
				}
			}
		}()
	}
	go func() {
		wg.Wait()
		close(found)
	}()
	count := 0
	for range found {
		count++
	}
	if count == 0 {
		panic("no primes")
	}
	return time.Since(start)
}
