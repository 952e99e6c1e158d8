package broker

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when a broker that was stopped leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func FuzzStoredMessageHarmsNothing(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x32\x07\x00\x01a\x00\x01\x00x"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		pk, err := decodeDelivery(raw)
		if err != nil {
			return
		}
		again, err := encodeDelivery(pk)
		if err != nil {
			return // a topic or a property that MQTT has no place for
		}
		same, err := decodeDelivery(again)
		if err != nil || same.TopicName != pk.TopicName || string(same.Payload) != string(pk.Payload) || same.Expiry != pk.Expiry {
			t.Fatalf("% x became % x: %v", raw, again, err)
		}
	})
}
