package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gb2mqtt/gb2mqtt/configs"
	"github.com/jedib0t/go-pretty/v6/text"
)

// stage prints what happens for somebody who looks on.
type stage struct {
	mu    sync.Mutex // guards w: cameras, bridge and story speak at once
	w     io.Writer
	paint func(text.Color, string) string
	start time.Time
}

func newStage(w io.Writer) *stage { return &stage{w: w, paint: painter(w), start: time.Now()} }

func (s *stage) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format+"\n", args...)
}

func (s *stage) scene(title string) { s.say("\n%s", s.paint(text.Bold, "── "+title)) }

// message prints one MQTT message: when, where, what. Retained states repeat what the
// shadow's messages say, so they are left out.
func (s *stage) message(c *configs.Config, topic string, payload []byte) {
	if strings.HasSuffix(topic, "/state") && topic != c.Topics.Prefix+"/bridge/state" || strings.HasSuffix(topic, "/update/documents") {
		return
	}
	short := topic
	short = strings.Replace(short, c.Shadow.Prefix+"/", "shadow ", 1)
	s.say("%s %s %s", s.paint(text.Faint, fmt.Sprintf("%6.2fs", time.Since(s.start).Seconds())), s.paint(topicColour(topic), short), readable(payload))
}

func topicColour(topic string) text.Color {
	switch {
	case strings.HasSuffix(topic, "/presence"):
		return text.FgGreen
	case strings.HasSuffix(topic, "/rejected"):
		return text.FgRed
	case strings.Contains(topic, "/event/"):
		return text.FgYellow
	case strings.Contains(topic, "/cmd/"):
		return text.FgMagenta
	}
	return text.FgCyan
}

// leavesShown is how many values of a document somebody who looks on is shown.
const leavesShown = 6

// readable writes a JSON payload as its leaves, without what a person does not look for.
func readable(payload []byte) string {
	object, err := parseObject(string(payload))
	if err != nil {
		return string(payload)
	}
	maps.DeleteFunc(object, func(key string, _ any) bool {
		return slices.Contains([]string{"metadata", "id", "ts", "timestamp", "device", "channel", "started_at", "server_id"}, key)
	})
	leaves := slices.DeleteFunc(leavesOf(object), func(leaf string) bool { return strings.HasSuffix(leaf, "=null") })
	for i := range leaves {
		leaves[i] = strings.TrimPrefix(leaves[i], "state.")
	}
	if more := len(leaves) - leavesShown; more > 1 {
		leaves = append(leaves[:leavesShown], fmt.Sprintf("… and %d more", more))
	}
	return strings.Join(leaves, " ")
}
