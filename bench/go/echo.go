package main

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// connections with both ends in this process: as many as are wanted, or as its limit of open files allows for.
func connections(wanted int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		panic(err)
	}
	// The runtime has raised it to what is allowed.
	return min(wanted, max(int(limit.Cur/2)-100, 1))
}

// connect makes n connections that are served, and returns the clients' ends.
func connect(n int) []net.Conn {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for range n {
			conn, err := listener.Accept()
			if err != nil {
				panic(err)
			}
			go serve(conn)
		}
	}()
	ends := make([]net.Conn, n)
	for i := range ends {
		if ends[i], err = net.Dial("tcp", listener.Addr().String()); err != nil {
			panic(err)
		}
	}
	<-accepted
	return ends
}

// memConn is bytes for each of n connections that are served and say nothing.
func memConn(n int) float64 {
	n = connections(n)
	release := func(ends []net.Conn) {
		for _, end := range ends {
			end.Close()
		}
	}
	release(connect(100))
	time.Sleep(settle)
	before := footprint()
	ends := connect(n)
	time.Sleep(settle)
	each := float64(max(footprint()-before, 0)) / float64(n)
	release(ends)
	return each
}

// serve writes back what it reads. (Go's connections have no delay by default.)
func serve(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			panic(err)
		}
	}
}

// echo makes n round trips over so many TCP connections.
func echo(connections, n int) time.Duration {
	conns := connect(connections)
	start := time.Now()
	var wg sync.WaitGroup
	wg.Add(connections)
	for _, conn := range conns {
		go func() {
			defer wg.Done()
			defer conn.Close()
			buf := make([]byte, 64)
			for range n / connections {
				if _, err := conn.Write(buf); err != nil {
					panic(err)
				}
				if _, err := io.ReadFull(conn, buf); err != nil {
					panic(err)
				}
			}
		}()
	}
	wg.Wait()
	return time.Since(start)
}
