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

// readable writes a JSON payload as its leaves, without what a person does not look for.
func readable(payload []byte) string {
	object, err := parseObject(string(payload))
	if err != nil {
		return string(payload)
	}
	maps.DeleteFunc(object, func(key string, _ any) bool {
		return slices.Contains([]string{"metadata", "id", "ts", "timestamp", "device", "channel"}, key)
	})
	return dotted(object)
}
