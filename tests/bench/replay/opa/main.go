// OPA in process: decides each line of a file with a bundle, on as many threads as GOMAXPROCS says, and tells how long
// that took. A line is {"path": "xagent/tools/decision", "input": {...}}; it is parsed, decided, and its result written as
// JSON, as replay parses, decides and writes.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/rego"
)

type line struct {
	Path  string          `json:"path"`
	Input json.RawMessage `json:"input"`
}

func main() {
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(bundleFile, inputs string) error {
	context := context.Background()
	archive, err := os.ReadFile(bundleFile)
	if err != nil {
		return err
	}
	loaded, err := bundle.NewReader(bytes.NewReader(archive)).Read()
	if err != nil {
		return err
	}
	prepared := map[string]rego.PreparedEvalQuery{}
	for _, path := range []string{"xagent/tools/decision", "xagent/api/decision"} {
		query, err := rego.New(
			rego.Query("data."+strings.ReplaceAll(path, "/", ".")),
			rego.ParsedBundle("law", &loaded),
			rego.StrictBuiltinErrors(true),
		).PrepareForEval(context)
		if err != nil {
			return err
		}
		prepared[path] = query
	}
	file, err := os.Open(inputs)
	if err != nil {
		return err
	}
	defer file.Close()

	lines := make(chan []byte, 1024)
	var decided, failed atomic.Int64
	var workers sync.WaitGroup
	begin := time.Now()
	for range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for text := range lines {
				if decide(context, prepared, text) {
					decided.Add(1)
				} else {
					failed.Add(1)
				}
			}
		}()
	}
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 1<<20), 1<<26)
	for scanner.Scan() {
		lines <- bytes.Clone(scanner.Bytes())
	}
	close(lines)
	workers.Wait()
	if scanner.Err() != nil {
		return scanner.Err()
	}
	took := time.Since(begin)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"decided": decided.Load(), "failed": failed.Load(), "seconds": took.Seconds(),
	})
}

func decide(context context.Context, prepared map[string]rego.PreparedEvalQuery, text []byte) bool {
	var line line
	var input any
	if json.Unmarshal(text, &line) != nil {
		return false
	}
	decoder := json.NewDecoder(bytes.NewReader(line.Input))
	decoder.UseNumber()
	if decoder.Decode(&input) != nil {
		return false
	}
	query := prepared[line.Path]
	results, err := query.Eval(context, rego.EvalInput(input))
	if err != nil || len(results) != 1 || len(results[0].Expressions) != 1 {
		return false
	}
	result, err := json.Marshal(results[0].Expressions[0].Value)
	return err == nil && bytes.Contains(result, []byte("\"allow\""))
}
