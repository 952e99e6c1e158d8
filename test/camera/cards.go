package camera

import (
	"fmt"
	"strconv"
	"time"
)

// A device has eight cards at most [GB28181-2022 A.2.6.16], each of so many MB.
const (
	cardsMost    = 8
	cardCapacity = 61035
	cardUsed     = 20825
)

// card is an SD card.
type card struct {
	free      int       // MB
	formatted time.Time // when the formatting under way ends; zero: none is
}

func newCards(n int) []card {
	cards := make([]card, n)
	for i := range cards {
		cards[i].free = cardCapacity - cardUsed
	}
	return cards
}

// applyFormat empties a card, 0: all of them. It takes a while, which SDCardStatus shows
// [GB28181-2022 A.2.3.1.13].
func applyFormat(d *Device, _ *Request, e *element, _ *Target) error {
	n, err := strconv.Atoi(e.text)
	if err != nil || n < 0 || n > len(d.state.cards) {
		return fmt.Errorf("FormatSDCard %q: a card from 1 to %d, or 0 for all, is wanted", e.text, len(d.state.cards))
	}
	for i := range d.state.cards {
		if n == 0 || n == i+1 {
			d.state.cards[i] = card{free: cardCapacity, formatted: time.Now().Add(d.cfg.FormatTime)}
		}
	}
	return nil
}

func (d *Device) answerCards(r *Request) {
	d.mu.Lock()
	cards := append([]card(nil), d.state.cards...)
	d.mu.Unlock()
	var items []string
	for i, c := range cards {
		id := strconv.Itoa(i + 1)
		status, progress, free := "ok", 0, c.free
		if left := time.Until(c.formatted); left > 0 {
			status, progress, free = "formatting", 100-int(100*left/d.cfg.FormatTime), 0
		}
		items = append(items, group("Item", tag("ID", id), tag("HddName", "SD"+id), tag("Status", status),
			tag("FormatProgress", strconv.Itoa(progress)), tag("Capacity", strconv.Itoa(cardCapacity)), tag("FreeSpace", strconv.Itoa(free))))
	}
	d.respond(r, counted("SDCardStatusInfo", items)...)
}
