package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agreeable answers every request over UDP with 200 and returns its address.
func agreeable(t *testing.T) string { return answering(t, "200 OK") }

// answering answers every request over UDP with this status.
func answering(t *testing.T, status string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 65535)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			head, _, _ := strings.Cut(string(buf[:n]), "\r\n\r\n")
			start, rest, _ := strings.Cut(head, "\r\n")
			answer := []string{"SIP/2.0 " + status}
			for line := range strings.SplitSeq(rest, "\r\n") {
				if name, _, _ := strings.Cut(line, ":"); strings.Contains("Via From To Call-ID CSeq", name) {
					answer = append(answer, line)
				}
			}
			if !strings.HasPrefix(start, "SIP/2.0") {
				_, _ = c.WriteTo([]byte(strings.Join(answer, "\r\n")+"\r\nContent-Length: 0\r\n\r\n"), from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return "udp://" + c.LocalAddr().String()
}

// execute runs gbsim with these arguments.
func execute(ctx context.Context, args ...string) (out, progress string, err error) {
	var o, p bytes.Buffer
	c := command(&o, &p)
	c.SetArgs(args)
	c.SetOut(&o)
	err = c.ExecuteContext(ctx)
	return o.String(), p.String(), err
}

func TestSummaryAsJSON(t *testing.T) {
	out, progress, err := execute(t.Context(), "--server", agreeable(t), "--devices", "5", "--channels", "2", "--keepalive", "50ms",
		"--ramp", "500/s", "--duration", "300ms", "--first-id", "34020000001320000100", "--alarms", "600", "--json")
	if err != nil || progress != "" {
		t.Fatalf("%v, progress %q", err, progress)
	}
	var s struct {
		Devices, Registered int
		Kinds               map[string]struct {
			Sent, Answered, Lost int
			P99                  float64 `json:"p99_ms"`
		}
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if s.Devices != 5 || s.Registered != 5 {
		t.Errorf("%d of %d devices registered, want 5 of 5", s.Registered, s.Devices)
	}
	for kind, least := range map[string]int{"register": 5, "unregister": 5, "keepalive": 5, "alarm": 1} {
		if k := s.Kinds[kind]; k.Sent < least || k.Answered != k.Sent || k.Lost != 0 || k.P99 <= 0 {
			t.Errorf("%s: %+v, want %d or more, all answered", kind, k, least)
		}
	}
}

func TestSummaryAsTableAfterASignal(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, stop)
	out, _, err := execute(ctx, "--server", agreeable(t), "--devices", "3", "--ramp", "0")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"register", "unregister", "p99", "lost", "3 registered at the end"} {
		if !strings.Contains(out, want) {
			t.Errorf("the summary has no %q:\n%s", want, out)
		}
	}
}

func TestEveryMessageThatComesIsPrinted(t *testing.T) {
	out, progress, err := execute(t.Context(), "--server", agreeable(t), "--devices", "2", "--keepalive", "0", "--duration", "200ms", "--print")
	if err != nil || progress != "" {
		t.Fatalf("%v, progress %q", err, progress)
	}
	for _, id := range []string{"34020000001320000001", "34020000001320000002"} {
		if !strings.Contains(out, id+" 200 OK to REGISTER\n") {
			t.Errorf("no line of %s in:\n%s", id, out)
		}
	}
}

func TestQuirksAreTakenAndListedInTheHelp(t *testing.T) {
	out, _, err := execute(t.Context(), "--server", agreeable(t), "--devices", "1", "--ramp", "0", "--keepalive", "50ms", "--duration", "300ms",
		"--quirk", "bare-headers, lower-case-tags", "--quirk", "no-content-type", "--json")
	if err != nil || !strings.Contains(out, `"keepalive"`) {
		t.Errorf("%v, %s", err, out)
	}
	help, _, err := execute(t.Context(), "--help")
	if err != nil || !strings.Contains(help, "wants-type             RecordInfo without Type is not answered (Dahua recorders)") {
		t.Errorf("%v, the help has no list of quirks:\n%s", err, help)
	}
}

func TestNobodyAnswersIsAnError(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, err = execute(t.Context(), "--server", "udp://"+c.LocalAddr().String(), "--devices", "1", "--timeout", "50ms", "--duration", "300ms", "--json")
	if err == nil || errors.Is(err, errUsage) || !strings.Contains(err.Error(), "listening") {
		t.Errorf("got %v, want a fault with a next step", err)
	}
}

func TestNobodyIsAdmittedIsAnError(t *testing.T) {
	_, _, err := execute(t.Context(), "--server", answering(t, "403 Forbidden"), "--devices", "2", "--duration", "200ms", "--json")
	if err == nil || errors.Is(err, errUsage) || !strings.Contains(err.Error(), "--password") {
		t.Errorf("got %v, want a fault that names the password", err)
	}
}

func TestWrongCommandLineIsAUsageError(t *testing.T) {
	for _, args := range [][]string{{"--ramp", "fast"}, {"--devices", "0"}, {"--first-id", "1"}, {"--nonsense"}, {"surplus"},
		{"--server", "http://x"}, {"--loss", "2"}, {"--encoding", "latin1"}, {"--transport", "sctp"},
		{"--edition", "2011"}, {"--quirk", "nonsense"}, {"--die", "half"}, {"--records", "10001"}, {"--cards", "9"}, {"--reboot", "-1s"},
		{"--refuse-subscribe", "weather"}, {"--refuse-subscribe", "alarm=200"}, {"--catalog-events", "-1"}, {"--positions", "-1s"}} {
		if _, _, err := execute(t.Context(), args...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v, want a usage error", args, err)
		}
	}
}

func TestRefusalsNameKindsAndCodes(t *testing.T) {
	var r refusals
	if err := r.Set("catalog,ptz_position=489"); err != nil || r["Catalog"] != 403 || r["PTZPosition"] != 489 || r.String() != "catalog=403,ptz_position=489" {
		t.Errorf("%v, %v", r, err)
	}
}

func TestRateReadsItsUnits(t *testing.T) {
	for text, want := range map[string]rate{"500/s": 500, "60/m": 1, "2.5": 2.5, "0": 0} {
		var r rate
		if err := r.Set(text); err != nil || r != want {
			t.Errorf("%s: %v, %v; want %v", text, r, err, want)
		}
	}
}
