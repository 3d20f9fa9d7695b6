package main

import (
	"io"
	"net"
	"sync"
	"time"
)

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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for range connections {
			conn, err := listener.Accept()
			if err != nil {
				panic(err)
			}
			go serve(conn)
		}
	}()
	conns := make([]net.Conn, connections)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", listener.Addr().String()); err != nil {
			panic(err)
		}
	}
	<-accepted
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
