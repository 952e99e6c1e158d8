package main

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

func TestShadowTablePutsDesiredBesideReported(t *testing.T) {
	document := []byte(`{"state":{
		"desired":{"guard":"on","ptz":{"preset":3}},"reported":{"guard":"off","ptz":{"preset":3,"zoom":1.50},"tags":[1,2]},"delta":{"guard":"on"}},
		"metadata":{"desired":{"guard":{"timestamp":20},"ptz":{"preset":{"timestamp":5}}},
			"reported":{"guard":{"timestamp":10},"ptz":{"preset":{"timestamp":6},"zoom":{"timestamp":7}},"tags":[{"timestamp":8},{"timestamp":8}]}},
		"version":9}`)
	got, err := shadowRows(document)
	if err != nil {
		t.Fatal(err)
	}
	want := []shadowRow{
		{"guard", `"on"`, `"off"`, true, time.Unix(20, 0)},
		{"ptz.preset", "3", "3", false, time.Unix(6, 0)},
		{"ptz.zoom", "", "1.50", false, time.Unix(7, 0)},
		{"tags", "", "[1,2]", false, time.Time{}},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	var out bytes.Buffer
	if err := printShadowTable(&out, document); err != nil {
		t.Fatal(err)
	}
	expect(t, "the table", out.String(), "guard", `"off"`, "version 9, 1 desired, not so yet")
}
