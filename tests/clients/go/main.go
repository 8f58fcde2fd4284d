// The test client on go-nsq; ../README.md has the contract.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nsqio/go-nsq"
)

const (
	touchShare    = 0.5
	requeueDelay  = 20 * time.Millisecond
	backoffUnit   = 50 * time.Millisecond
	maxBackoff    = 400 * time.Millisecond
	lookupdPoll   = time.Second
	lineBytesMax  = 16 << 20
	handlersCount = 4
)

type command struct {
	Op      string   `json:"op"`
	Topic   string   `json:"topic"`
	Body    string   `json:"body"`
	Bodies  []string `json:"bodies"`
	DelayMs int64    `json:"delay_ms"`
}

type settings struct {
	Topic        string   `json:"topic"`
	Channel      string   `json:"channel"`
	Nsqd         []string `json:"nsqd"`
	Lookupd      []string `json:"lookupd"`
	MaxInFlight  int      `json:"max_in_flight"`
	MsgTimeoutMs int64    `json:"msg_timeout_ms"`
}

var (
	out    sync.Mutex
	logger = log.New(os.Stderr, "", log.Lmicroseconds)
)

// say writes one event as a line; handlers call it at the same time.
func say(event map[string]any) {
	line, err := json.Marshal(event)
	if err != nil {
		log.Fatal(err)
	}
	out.Lock()
	defer out.Unlock()
	fmt.Println(string(line))
}

func publish(address string) error {
	producer, err := nsq.NewProducer(address, nsq.NewConfig())
	if err != nil {
		return err
	}
	producer.SetLogger(logger, nsq.LogLevelWarning)
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, lineBytesMax)
	for input.Scan() {
		var c command
		if err := json.Unmarshal(input.Bytes(), &c); err != nil {
			return err
		}
		switch c.Op {
		case "pub":
			err = producer.Publish(c.Topic, []byte(c.Body))
		case "mpub":
			bodies := make([][]byte, len(c.Bodies))
			for i, body := range c.Bodies {
				bodies[i] = []byte(body)
			}
			err = producer.MultiPublish(c.Topic, bodies)
		default:
			err = producer.DeferredPublish(c.Topic, time.Duration(c.DelayMs)*time.Millisecond, []byte(c.Body))
		}
		if err != nil {
			say(map[string]any{"error": err.Error()})
		} else {
			say(map[string]any{"ok": true})
		}
	}
	producer.Stop()
	return input.Err()
}

func consume(s settings) error {
	config := nsq.NewConfig()
	config.MaxInFlight = s.MaxInFlight
	config.MaxAttempts = 0
	config.MsgTimeout = time.Duration(s.MsgTimeoutMs) * time.Millisecond
	config.BackoffMultiplier = backoffUnit
	config.MaxBackoffDuration = maxBackoff
	config.LookupdPollInterval = lookupdPoll
	consumer, err := nsq.NewConsumer(s.Topic, s.Channel, config)
	if err != nil {
		return err
	}
	consumer.SetLogger(logger, nsq.LogLevelWarning)
	consumer.AddConcurrentHandlers(nsq.HandlerFunc(func(m *nsq.Message) error {
		return handle(m, config.MsgTimeout)
	}), handlersCount)
	if len(s.Nsqd) > 0 {
		if err := consumer.ConnectToNSQDs(s.Nsqd); err != nil {
			return err
		}
	}
	if len(s.Lookupd) > 0 {
		if err := consumer.ConnectToNSQLookupds(s.Lookupd); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	consumer.Stop()
	<-consumer.StopChan
	return nil
}

func handle(m *nsq.Message, timeout time.Duration) error {
	say(map[string]any{"body": string(m.Body), "attempts": m.Attempts})
	words := strings.Split(string(m.Body), " ")
	if len(words) < 2 {
		return nil
	}
	times, _ := strconv.Atoi(words[1])
	switch {
	case words[0] == "requeue" && int(m.Attempts) <= times:
		m.DisableAutoResponse()
		m.Requeue(requeueDelay)
	case words[0] == "touch":
		for i := 0; i < times; i++ {
			time.Sleep(time.Duration(float64(timeout) * touchShare))
			m.Touch()
		}
	}
	return nil
}

func main() {
	var err error
	if len(os.Args) == 3 && os.Args[1] == "publish" {
		err = publish(os.Args[2])
	} else if len(os.Args) == 3 && os.Args[1] == "consume" {
		var s settings
		if err = json.Unmarshal([]byte(os.Args[2]), &s); err == nil {
			err = consume(s)
		}
	} else {
		err = fmt.Errorf("usage: %s publish HOST:PORT | consume SETTINGS", os.Args[0])
	}
	if err != nil {
		logger.Fatal(err)
	}
}
