package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// shadowRow is one key of a document: what is wanted, what is, and since when.
type shadowRow struct {
	path              string // dotted, below desired or reported
	desired, reported string // JSON; "": not there
	differs           bool   // it is in the delta
	at                time.Time
}

// shadowRows puts desired and reported of a get/accepted side by side, by path.
func shadowRows(document []byte) ([]shadowRow, error) {
	object, err := parseObject(string(document))
	if err != nil {
		return nil, fmt.Errorf("the answer is no document: %w", err)
	}
	state, _ := object["state"].(map[string]any)
	metadata, _ := object["metadata"].(map[string]any)
	rows := make(map[string]*shadowRow)
	row := func(path string) *shadowRow {
		if rows[path] == nil {
			rows[path] = &shadowRow{path: path}
		}
		return rows[path]
	}
	for _, section := range []string{"desired", "reported", "delta"} {
		for _, leaf := range leavesOf(state[section]) {
			path, value, ok := strings.Cut(leaf, "=")
			if !ok {
				continue // the section is not there
			}
			switch section {
			case "desired":
				row(path).desired = value
			case "reported":
				row(path).reported = value
			default:
				row(path).differs = true
				continue
			}
			if at := changedAt(metadata[section], path); at.After(row(path).at) {
				row(path).at = at
			}
		}
	}
	list := make([]shadowRow, 0, len(rows))
	for _, r := range rows {
		list = append(list, *r)
	}
	slices.SortFunc(list, func(a, b shadowRow) int { return cmp.Compare(a.path, b.path) })
	return list, nil
}

// changedAt finds the time of a leaf in the metadata of its section; zero where it has none
// of its own.
func changedAt(metadata any, path string) time.Time {
	for key := range strings.SplitSeq(path, ".") {
		object, ok := metadata.(map[string]any)
		if !ok {
			return time.Time{}
		}
		metadata = object[key]
	}
	leaf, _ := metadata.(map[string]any)
	seconds, ok := leaf["timestamp"].(json.Number)
	if !ok {
		return time.Time{}
	}
	unix, err := seconds.Int64()
	if err != nil {
		return time.Time{}
	}
	return time.Unix(unix, 0)
}

// printShadowTable writes a document for a person: a row a key, what is wished but not so
// in yellow.
func printShadowTable(w io.Writer, document []byte) error {
	rows, err := shadowRows(document)
	if err != nil {
		return err
	}
	var head struct {
		Version int64 `json:"version"`
	}
	if err := json.Unmarshal(document, &head); err != nil {
		return fmt.Errorf("the answer is no document: %w", err)
	}
	paint := painter(w)
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.SetColumnConfigs([]table.ColumnConfig{{Number: 2, WidthMax: 40}, {Number: 3, WidthMax: 60}})
	t.AppendHeader(table.Row{"Key", "Desired", "Reported", "Changed"})
	open := 0
	for _, r := range rows {
		desired, changed := r.desired, ""
		if r.differs {
			open++
			desired = paint(text.FgYellow, desired)
		}
		if !r.at.IsZero() {
			changed = r.at.Format(time.DateTime)
		}
		t.AppendRow(table.Row{r.path, desired, r.reported, changed})
	}
	verdict := "all that is desired is so"
	if open > 0 {
		verdict = fmt.Sprintf("%d desired, not so yet", open)
	}
	_, err = fmt.Fprintf(w, "%s\nversion %d, %s\n", t.Render(), head.Version, verdict)
	return err
}
