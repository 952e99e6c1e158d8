package mapping

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

var update = flag.Bool("update", false, "rewrite the golden files; read the diff before it is kept")

// golden is what a sample must become.
type golden struct {
	Root     string
	CmdType  string
	SN       int64
	DeviceID string
	Encoding string
	Faulty   bool
	Refused  string `json:",omitempty"`
	Fields   map[string]any
}

func TestSamplesBecomeTheirGoldenFields(t *testing.T) {
	samples, err := filepath.Glob("gb28181/testdata/*/*.xml")
	if err != nil || len(samples) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, sample := range samples {
		if strings.HasSuffix(sample, ".sent.xml") {
			continue // of the platform's own: see requests
		}
		t.Run(strings.TrimPrefix(sample, "gb28181/testdata/"), func(t *testing.T) {
			body, err := os.ReadFile(sample)
			if err != nil {
				t.Fatal(err)
			}
			m, err := gb28181.Decode(body)
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			_, why := m.Refused()
			got, err := json.MarshalIndent(golden{
				m.Root, m.CmdType, m.SN, m.DeviceID, m.Encoding.String(), m.Faulty, why, Fields(m),
			}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := strings.TrimSuffix(sample, ".xml") + ".json"
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s became\n%s\nwant\n%s", sample, got, want)
			}
		})
	}
}
