package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/authority"
)

// awsSDK names the folder that testdata/aws-sdk/package.json was installed in.
const awsSDK = "GB2MQTT_AWS_SDK"

func TestTheAWSSDKsRunUnchanged(t *testing.T) {
	modules := os.Getenv(awsSDK)
	node, err := exec.LookPath("node")
	if modules == "" || err != nil {
		t.Skipf("needs Node.js, and %s to name a folder in which `npm install` was run with testdata/aws-sdk/package.json", awsSDK)
	}
	ca := authority.New(t)
	cert, key := ca.Issue("server")
	clientCert, clientKey := ca.Issue("client")
	p := start(t, baseConfig().with("shadow.client_reported", true).
		with("mqtt.embedded.listen", []string{"tcp://127.0.0.1:0", "mqtts://127.0.0.1:0"}).
		with("mqtt.embedded.tls.cert", cert).with("mqtt.embedded.tls.key", key).with("mqtt.embedded.tls.client_ca", ca.File))
	port := p.tls[strings.LastIndex(p.tls, ":")+1:]
	red, both := `{"desired":{"color":"red"}}`, `{"desired":{"color":"red"},"reported":{"color":"red"}}`

	for script, want := range map[string][]string{
		"v1": {
			`delta {"color":"red"}`, `status accepted 1 ` + red, `status accepted 2 {"reported":{"color":"red"}}`,
			`status accepted 2 ` + both, `status accepted 2`, `status rejected 404`, `end`,
		},
		"v2": {
			`no shadow 404`, `updated 1 ` + red, `delta {"color":"red"}`, `documents 1 false`, `documents 2 true`, `got 2 ` + both,
			`conflict 409`, `named 1`, `named got {"desired":{"a":1},"delta":{"a":1}}`, `deleted 2`, `end`,
		},
	} {
		t.Run(script, func(t *testing.T) {
			cmd := exec.CommandContext(within(t, time.Minute), node, filepath.Join("testdata", "aws-sdk", script+".js"),
				"localhost", port, ca.File, clientCert, clientKey, "sdk-"+script)
			cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(modules, "node_modules"))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got := map[string]bool{}
			for line := range strings.Lines(string(out)) {
				got[said(t, line)] = true
			}
			wanted := map[string]bool{}
			for _, line := range want {
				wanted[line] = true
			}
			if !reflect.DeepEqual(got, wanted) {
				t.Errorf("the SDK told\n%swant %q", out, want)
			}
		})
	}
}

// said is what counts of a line of the scripts, as words: what, outcome, version, state.
func said(t *testing.T, line string) string {
	t.Helper()
	var l struct {
		What, Stat string
		Code       json.Number
		Version    json.Number
		Before     *bool
		State      json.RawMessage
	}
	if err := json.Unmarshal([]byte(line), &l); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	state := l.State
	if l.Stat != "" { // v1 passes the whole answer
		var answer struct {
			Code, Version json.Number
			State         json.RawMessage
		}
		if err := json.Unmarshal(l.State, &answer); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		l.Code, l.Version, state = answer.Code, answer.Version, answer.State
	}
	words := []string{l.What, l.Stat, l.Code.String(), l.Version.String(), string(state)}
	if l.Before != nil {
		words = append(words, map[bool]string{true: "true", false: "false"}[*l.Before])
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}
