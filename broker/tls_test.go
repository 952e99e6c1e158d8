package broker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// authority signs certificates for a test.
type authority struct {
	t      *testing.T
	folder string
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	file   string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, folder: t.TempDir()}
	a.cert, a.key, a.file, _ = a.issue("ca")
	return a
}

// issue makes a certificate and its key, as files too.
func (a *authority) issue(name string) (*x509.Certificate, *ecdsa.PrivateKey, string, string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: a.cert == nil,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(a.folder, name+".pem"), filepath.Join(a.folder, name+".key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key, certFile, keyFile
}

func TestTLSAsksForTheCertificateThatIsConfigured(t *testing.T) {
	ca := newAuthority(t)
	_, _, cert, key := ca.issue("server")
	_, _, clientCert, clientKey := ca.issue("client")
	server := run(t, embedded(func(e *Embedded) {
		e.Listen = []string{"mqtts://127.0.0.1:0", "wss://127.0.0.1:0"}
		e.TLS = TLS{Cert: cert, Key: key, ClientCA: ca.file}
	}), Options{})
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
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
		r := bridged(t, url, newMemoryJournal(), func(l *Link) { l.TLS = LinkTLS{CA: ca.file, Cert: clientCert, Key: clientKey} })
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
