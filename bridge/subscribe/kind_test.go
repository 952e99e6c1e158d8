package subscribe

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/mapping/gb28181"
)

var update = flag.Bool("update", false, "rewrite the golden files; read the diff before it is kept")

func TestSubscriptionsAreTheBytesOfTheirGoldenFiles(t *testing.T) {
	for k := Kind(0); k < kinds; k++ {
		got := k.query(cam.String(), 5*time.Second).Encode(17, gb28181.GB2312)
		file := filepath.Join("testdata", k.String()+".sent.xml")
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
			t.Errorf("%s is\n%s\nwant\n%s", k, got, want)
		}
		if again, known := ParseKind(k.String()); !known || again != k {
			t.Errorf("%s is read as %v, %v", k, again, known)
		}
	}
	if _, known := ParseKind("media"); known {
		t.Error("a kind that is none is read")
	}
}
