package broker

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/gb2mqtt/gb2mqtt/test/authority"
)

func TestTLSAsksForTheCertificateThatIsConfigured(t *testing.T) {
	ca := authority.New(t)
	cert, key := ca.Issue("server")
	clientCert, clientKey := ca.Issue("client")
	server := run(t, embedded(func(e *Embedded) {
		e.Listen = []string{"mqtts://127.0.0.1:0", "wss://127.0.0.1:0"}
		e.TLS = TLS{Cert: cert, Key: key, ClientCA: ca.File}
	}), Options{})
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range server.Addrs() {
		withCert := mqtt.NewClientOptions().AddBroker(url).SetClientID("with " + url).SetAutoReconnect(false).SetTLSConfig(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}})
		_, in := server.connect(withCert, "a")
		without := newClient(mqtt.NewClientOptions().AddBroker(url).SetClientID("without").SetAutoReconnect(false).SetTLSConfig(&tls.Config{RootCAs: pool}))
		if token := without.Connect(); !token.WaitTimeout(20*time.Second) || token.Error() == nil {
			t.Errorf("%s: a client without a certificate is let in", url)
		}
		r := bridged(t, url, newMemoryJournal(), func(l *Link) { l.TLS = LinkTLS{CA: ca.File, Cert: clientCert, Key: clientKey} })
		r.awaitLink(true)
		r.Publish(Message{Topic: "a", Payload: []byte("over TLS"), QoS: 1})
		in.expect(t, "a=over TLS")
		r.stop()
		stranger := bridged(t, url, newMemoryJournal(), func(l *Link) { l.TLS = LinkTLS{Cert: clientCert, Key: clientKey} })
		stranger.publishNumbered("a", 0, 1) // its server's authority is unknown to it: nothing goes
		stranger.stop()
		if len(in) != 0 {
			t.Errorf("%s: a link took a server that it can't know", url)
		}
	}
}
