package bridge

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// benchClient is the cheapest MQTT 3.1.1 client that plays by the rules: it publishes and
// acknowledges QoS 1, and costs less than the broker that it measures. Its sending side and
// its receiving side may run on goroutines of their own.
type benchClient struct {
	b    *testing.B
	conn net.Conn
	r    *bufio.Reader
	out  []byte
	acks []byte
	body []byte
	id   uint16
}

// benchTimeout ends a benchmark whose answers do not come.
const benchTimeout = 30 * time.Second

// dialBench connects to tcp://host:port.
func dialBench(b *testing.B, url, id string, filters ...string) *benchClient {
	b.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	c := &benchClient{b: b, conn: conn, r: bufio.NewReaderSize(conn, 16<<10)}
	c.packet(0x10, mqttText("MQTT"), []byte{4, 2, 0, 0}, mqttText(id))
	c.send()
	c.expect(0x20)
	for i, f := range filters {
		c.packet(0x82, []byte{0, byte(i + 1)}, mqttText(f), []byte{1})
		c.send()
		c.expect(0x90)
	}
	return c
}

func mqttText(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func (c *benchClient) packet(first byte, parts ...[]byte) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	c.out = binary.AppendUvarint(append(c.out, first), uint64(n))
	for _, p := range parts {
		c.out = append(c.out, p...)
	}
}

// publish puts a message with QoS 1 in front of the next send.
func (c *benchClient) publish(topic string, payload []byte) {
	if c.id++; c.id == 0 {
		c.id = 1
	}
	n := 2 + len(topic) + 2 + len(payload)
	c.out = binary.AppendUvarint(append(c.out, 0x32), uint64(n))
	c.out = append(append(c.out, byte(len(topic)>>8), byte(len(topic))), topic...)
	c.out = append(append(c.out, byte(c.id>>8), byte(c.id)), payload...)
}

func (c *benchClient) send() {
	if _, err := c.conn.Write(c.out); err != nil {
		c.b.Error(err)
	}
	c.out = c.out[:0]
}

func (c *benchClient) expect(first byte) {
	c.b.Helper()
	got, _, err := c.read()
	if err != nil || got != first {
		c.b.Fatalf("packet %#x, %v; want %#x", got, err, first)
	}
}

// read returns the next packet; its body is valid until the next call.
func (c *benchClient) read() (first byte, body []byte, err error) {
	if c.r.Buffered() == 0 {
		if err := c.conn.SetReadDeadline(time.Now().Add(benchTimeout)); err != nil {
			return 0, nil, err
		}
	}
	if first, err = c.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(c.r)
	if err != nil {
		return 0, nil, err
	}
	if uint64(cap(c.body)) < n {
		c.body = make([]byte, n)
	}
	c.body = c.body[:n]
	_, err = io.ReadFull(c.r, c.body)
	return first, c.body, err
}

// next returns the topic of the next message, and acknowledges it as soon as nothing more
// has come. nil: the connection has ended.
func (c *benchClient) next() []byte {
	for {
		if c.r.Buffered() == 0 && len(c.acks) > 0 {
			if _, err := c.conn.Write(c.acks); err != nil {
				return nil
			}
			c.acks = c.acks[:0]
		}
		first, body, err := c.read()
		if err != nil {
			return nil
		}
		if first>>4 != 3 {
			continue // acknowledgements
		}
		n := 2 + int(body[0])<<8 + int(body[1])
		if first&6 != 0 {
			c.acks = append(c.acks, 0x40, 2, body[n], body[n+1])
		}
		return body[2:n]
	}
}

// answered waits for n messages, all of which must be on topics that end in one of wanted.
func (c *benchClient) answered(n int, wanted ...string) error {
	for range n {
		topic := string(c.next())
		if topic == "" {
			return fmt.Errorf("an answer never came")
		}
		if !endsInOne(topic, wanted) {
			return fmt.Errorf("answer on %s", topic)
		}
	}
	return nil
}

func endsInOne(topic string, ends []string) bool {
	for _, e := range ends {
		if strings.HasSuffix(topic, e) {
			return true
		}
	}
	return false
}
