package main

import (
	"reflect"
	"time"
)

const stride = 7919

func channels(arms, capacity int) ([]chan int, []reflect.SelectCase) {
	chans := make([]chan int, arms)
	cases := make([]reflect.SelectCase, arms)
	for i := range chans {
		chans[i] = make(chan int, capacity)
		cases[i] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(chans[i])}
	}
	return chans, cases
}

// One arm is ready.
func armsReady(arms, n int) time.Duration {
	chans, cases := channels(arms, 1)
	start := time.Now()
	for i := 0; i < n; i++ {
		at := i * stride % arms
		chans[at] <- i
		index, value, _ := reflect.Select(cases)
		if index != at || int(value.Int()) != i {
			panic("another arm was chosen")
		}
	}
	return time.Since(start)
}

// None is ready until another goroutine runs.
func armsWaitedFor(arms, n int) time.Duration {
	chans, cases := channels(arms, 0)
	start := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			chans[i*stride%arms] <- i
		}
	}()
	for i := 0; i < n; i++ {
		if _, value, _ := reflect.Select(cases); int(value.Int()) != i {
			panic("a value was lost")
		}
	}
	return time.Since(start)
}
