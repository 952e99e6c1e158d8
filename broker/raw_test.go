package broker

import (
	"bufio"
	"io"
	"net"
	"net/url"
	"testing"
	"time"
)

type urlT = url.URL

// rawClient writes and reads MQTT packets as bytes, so that it can do what no library does.
type rawClient struct {
	net.Conn
	r *bufio.Reader
}

func str(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func packetID(id byte) []byte { return []byte{0, id} }

// raw connects with a version of MQTT (4: 3.1.1) and, for 5, properties.
func (r *running) raw(t *testing.T, version byte, id string, clean bool, properties ...byte) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addrs()[0][len("tcp://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawClient{conn, bufio.NewReader(conn)}
	flags := byte(0)
	if clean {
		flags = 2
	}
	head := append(str("MQTT"), version, flags, 0, 60)
	if version == 5 {
		head = append(append(head, byte(len(properties))), properties...)
	}
	c.send(t, 0x10, head, str(id))
	if p := c.expect(t, 0x20); p[1] != 0 {
		t.Fatalf("CONNACK is % x", p)
	}
	return c
}

func (c *rawClient) send(t *testing.T, first byte, parts ...[]byte) {
	t.Helper()
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	packet := []byte{first}
	for n := len(body); ; {
		b := byte(n % 128)
		if n /= 128; n > 0 {
			packet = append(packet, b|0x80)
			continue
		}
		packet = append(packet, b)
		break
	}
	if _, err := c.Write(append(packet, body...)); err != nil {
		t.Fatal(err)
	}
}

// read returns the next packet.
func (c *rawClient) read() (first byte, body []byte, err error) {
	if err = c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return 0, nil, err
	}
	if first, err = c.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, shift := 0, 0
	for {
		b, err := c.r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		n |= int(b&0x7f) << shift
		if shift += 7; b < 0x80 {
			break
		}
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.r, body)
	return first, body, err
}

// expect returns the body of the next packet, which must begin with first.
func (c *rawClient) expect(t *testing.T, first byte) []byte {
	t.Helper()
	got, body, err := c.read()
	if err != nil {
		t.Fatalf("no packet %#x: %v", first, err)
	}
	if got != first {
		t.Fatalf("packet %#x % x, want %#x", got, body, first)
	}
	return body
}

// login connects with MQTT 5, a user name and a password.
func (r *running) login(t *testing.T, user, password string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addrs()[0][len("tcp://"):])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &rawClient{conn, bufio.NewReader(conn)}
	c.send(t, 0x10, str("MQTT"), []byte{5, 0xc2, 0, 60, 0}, str("raw-"+user), str(user), str(password))
	if p := c.expect(t, 0x20); p[1] != 0 {
		t.Fatalf("CONNACK is % x", p)
	}
	return c
}
