package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// listener accepts MQTT connections, bare, under TLS, or in WebSockets.
type listener struct {
	net.Listener
	scheme string
	ws     bool
}

// openListener listens on an address that parseListen accepts.
func openListener(address string, c TLS) (*listener, error) {
	at, err := parseListen(address)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", at.address)
	if err != nil {
		return nil, fmt.Errorf("%w; is another program using the port? choose another one or stop it", err)
	}
	if at.tls {
		conf, err := serverTLS(c)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l = tls.NewListener(l, conf)
	}
	return &listener{Listener: l, scheme: at.scheme, ws: at.ws}, nil
}

func serverTLS(c TLS) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("mqtt.embedded.tls: %w; name a certificate and its key in PEM form", err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if c.ClientCA != "" {
		if conf.ClientCAs, err = readCA(c.ClientCA); err != nil {
			return nil, fmt.Errorf("mqtt.embedded.tls.client_ca: %w", err)
		}
		conf.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return conf, nil
}

func readCA(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return pool, nil
}

// acceptPause is waited after an accept that failed for want of something, files say.
const acceptPause = 100 * time.Millisecond

// serve gives each connection to establish, until the listener is closed; it returns when all
// of them have ended.
func (l *listener) serve(establish func(*listener, net.Conn)) {
	var clients sync.WaitGroup
	defer clients.Wait()
	if l.ws {
		l.serveWebSocket(func(c net.Conn) { clients.Go(func() { establish(l, c) }) })
		return
	}
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(acceptPause)
		default:
			clients.Go(func() { establish(l, c) })
		}
	}
}

// serveWebSocket answers at / and /mqtt.
func (l *listener) serveWebSocket(accepted func(net.Conn)) {
	upgrader := websocket.Upgrader{
		Subprotocols: []string{"mqtt"},                         // [MQTT5 6.0.0-3]
		CheckOrigin:  func(*http.Request) bool { return true }, // pages of any site may be clients: they log in as others do
	}
	upgrade := func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // the answer said why
		}
		accepted(&wsConn{Conn: c.NetConn(), ws: c})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", upgrade)
	mux.HandleFunc("GET /mqtt", upgrade)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	// It ends with the listener, which is closed to end it; upgraded connections are no longer its own.
	_ = server.Serve(l.Listener)
	_ = server.Close()
}

// wsConn is the stream of MQTT bytes in a WebSocket's binary messages [MQTT5 6].
type wsConn struct {
	net.Conn
	ws     *websocket.Conn
	reader io.Reader // of the message under way
}

func (c *wsConn) Read(b []byte) (int, error) {
	for {
		if c.reader == nil {
			kind, r, err := c.ws.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("a WebSocket text message is no MQTT [MQTT5 6.0.0-1]")
			}
			c.reader = r
		}
		n, err := c.reader.Read(b)
		if errors.Is(err, io.EOF) {
			c.reader, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

func (c *wsConn) Write(b []byte) (int, error) {
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}
