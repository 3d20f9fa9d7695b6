package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// helloWorld serves HTTP to the load that another process makes, and returns what that tells.
func helloWorld(tell string) func(ms int) float64 {
	return func(ms int) float64 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		hello := func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "Hello, World!")
		}
		go http.Serve(listener, http.HandlerFunc(hello))
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
