package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// helloWorld serves HTTP to the load that another process makes, and returns what that tells.
func helloWorld(tell string) func(ms int) float64 {
	hello := func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "Hello, World!")
	}
	return served(tell, func(listener net.Listener) { http.Serve(listener, http.HandlerFunc(hello)) })
}

// plain is helloWorld without a framework: of net/http it uses the parser.
func plain(tell string) func(ms int) float64 {
	return served(tell, func(listener net.Listener) {
		for {
			conn, err := listener.Accept()
			if err != nil {
				panic(err)
			}
			go converse(conn)
		}
	})
}

func converse(conn net.Conn) {
	defer conn.Close()
	requests := bufio.NewReader(conn)
	var second int64
	var answer []byte
	for {
		if _, err := http.ReadRequest(requests); err != nil {
			return
		}
		if now := time.Now(); now.Unix() != second {
			second = now.Unix()
			answer = []byte("HTTP/1.1 200 OK\r\ncontent-length: 13\r\ndate: " +
				now.UTC().Format(http.TimeFormat) + "\r\n\r\nHello, World!")
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// served has another process load a server, and returns what that tells.
func served(tell string, serve func(net.Listener)) func(ms int) float64 {
	return func(ms int) float64 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		go serve(listener)
		load := exec.Command(os.Getenv("BENCH_LOAD"), "load", "--addr", listener.Addr().String(),
			"--ms", strconv.Itoa(ms), "--tell", tell)
		load.Stderr = os.Stderr
		before := cpuTime()
		out, err := load.Output()
		if err != nil {
			panic(err)
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			panic(err)
		}
		if tell == "cpu" {
			return float64((cpuTime() - before).Microseconds()) / value
		}
		return value
	}
}
