package broker

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// packetsIn names the packets that came by one write.
func packetsIn(b []byte) (kinds string) {
	for len(b) > 1 {
		kinds += fmt.Sprintf("%x", b[0]>>4)
		b = b[2+int(b[1]):]
	}
	return kinds
}

func TestThePubackOfARequestGoesOutWithTheAnswer(t *testing.T) {
	puback, publish := []byte{0x40, 2, 0, 1}, []byte{0x32, 5, 0, 1, 't', 0, 9}
	for _, c := range []struct {
		name   string
		answer time.Duration // after the PUBACK; negative: never
		hold   bool
		want   []string // the packets of each write
	}{
		{"answered soon", ackDelay / 2, true, []string{"43"}},
		{"answered late", 2 * ackDelay, true, []string{"4", "3"}},
		{"never answered", -1, true, []string{"4"}},
		{"no request", ackDelay / 2, false, []string{"4", "3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				acks := lateAcks{wake: make(chan struct{}, 1)}
				go acks.run(t.Context())
				q := newQueuedConn(here, 1000, func() {}, func() {}, acks.add)
				var writes []string
				go func() {
					buf := make([]byte, 100)
					for {
						n, err := there.Read(buf)
						if err != nil {
							return
						}
						writes = append(writes, packetsIn(buf[:n]))
					}
				}()
				write := func(b []byte) {
					if _, err := q.Write(bytes.Clone(b)); err != nil {
						t.Error(err)
					}
				}
				if c.hold {
					q.holdNextAck()
				}
				write(puback)
				if c.answer >= 0 {
					time.Sleep(c.answer)
					write(publish)
				}
				time.Sleep(2 * ackDelay)
				synctest.Wait()
				if got := fmt.Sprint(writes); got != fmt.Sprint(c.want) {
					t.Errorf("writes %v, want %v", got, c.want)
				}
				q.Close()
				<-q.done
			})
		})
	}
}

func TestWhoDoesNotListenForTheAnswerDoesNotAwaitIt(t *testing.T) {
	r := run(t, embedded(), Options{})
	r.connect(r.options("asks"), "P/cmd/1/+")
	r.connect(r.options("replies"), "my/answers")
	r.connect(r.options("other"), "P/cmd/2/accepted")
	for _, c := range []struct {
		client, topic, response string
		want                    bool
	}{
		{"asks", "P/cmd/1", "", true},
		{"asks", "P/cmd/2", "", false},
		{"asks", "P/cmd/1", "my/answers", false},
		{"replies", "P/cmd/1", "my/answers", true},
		{"replies", "P/cmd/1", "", false},
	} {
		request := packets.Packet{TopicName: c.topic, Properties: packets.Properties{ResponseTopic: c.response}}
		if got := r.server.awaitsAnswer(c.client, request); got != c.want {
			t.Errorf("%s awaits the answer to %s on %q: %v", c.client, c.topic, c.response, got)
		}
	}
}
