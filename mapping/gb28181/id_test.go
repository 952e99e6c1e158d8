package gb28181

import (
	"strings"
	"testing"
)

func TestAnIDIsTwentyDigits(t *testing.T) {
	const id = "34020000001320000001"
	got, err := ParseID(id)
	if err != nil || got.String() != id || got.Type() != "132" || got.IsZero() {
		t.Fatalf("%v %v %v", got, got.Type(), err)
	}
	if (ID{}).String() != "" || !(ID{}).IsZero() {
		t.Error("the zero ID is something")
	}
	for text, says := range map[string]string{
		"":                        "has 0 characters",
		"3402000000132000000":     "has 19 characters",
		id + "1":                  "has 21 characters",
		"bkq-ks-124567":           "20 digits", // body cameras and deployable domes
		"3402000000132000000x":    "not all digits",
		"３４０２０００００":               "20 digits",
		strings.Repeat("9", 9999): "…",
	} {
		if _, err := ParseID(text); err == nil || !strings.Contains(err.Error(), says) || len(err.Error()) > 200 {
			t.Errorf("%.30q: %v, want an error with %q", text, err, says)
		}
	}
}
