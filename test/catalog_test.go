package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

func TestCatalogOfTenThousandChannelsArrivesWholeInPacketsOfAnySize(t *testing.T) {
	const channels = 10_000
	for _, c := range []struct {
		network   string
		perPacket int
	}{{"udp", 50}, {"tcp", 50}, {"tcp", 1}} {
		t.Run(fmt.Sprintf("%s, %d a packet", c.network, c.perPacket), func(t *testing.T) {
			p := start(t, baseConfig())
			server := p.udp
			if c.network == "tcp" {
				server = p.tcp
			}
			d := newCamera(t, server, 1, func(cfg *camera.Config) {
				cfg.CatalogPerPacket = c.perPacket
				cfg.Shuffle = true
				cfg.Channels = nil
				for i := range channels {
					cfg.Channels = append(cfg.Channels, camera.Channel{ID: fmt.Sprintf("3402000000131%07d", i), Name: fmt.Sprintf("相机%d", i)})
				}
			})
			m := connect(t, p.mqtt, "gb28181/"+d.ID()+"/event/catalog", "gb28181/"+d.ID()+"/+/presence")
			register(t, d)
			told := m.waitFor(0, time.Minute, "catalog event", on("gb28181/"+d.ID()+"/event/catalog")).json(t)
			if told["channels"] != float64(channels) {
				t.Errorf("the catalog event tells %v channels, want %d", told["channels"], channels)
			}
			online := map[string]bool{}
			for mark := 0; len(online) < channels; {
				msg := m.waitFor(mark, time.Minute, "presence of each channel", func(msg message) bool {
					mark++
					return strings.HasSuffix(msg.topic, "/presence") && string(msg.payload) == "online" && !online[msg.topic]
				})
				online[msg.topic] = true
			}
			last := m.shadow(d.ID(), fmt.Sprintf("3402000000131%07d", channels-1))
			if name := at(last, "state.reported.catalog.name"); name != fmt.Sprintf("相机%d", channels-1) {
				t.Errorf("the last channel is called %v", name)
			}
		})
	}
}

func TestAnIncrementAboutAnUnknownChannelHasTheCatalogAskedForOnce(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	m := connect(t, p.mqtt, "gb28181/"+d.ID()+"/+/presence")
	register(t, d)
	m.wait(0, "channel", on("gb28181/"+d.ID()+"/"+channelID(1, 2)+"/presence", "online"))
	asked := func() int {
		return count(d, func(r *camera.Request) bool {
			return r.Root == "Query" && r.CmdType == "Catalog" && r.Method == "MESSAGE"
		})
	}
	if n := asked(); n != 1 {
		t.Fatalf("the catalog was asked for %d times, want once", n)
	}
	for n, stranger := range []string{channelID(1, 7), channelID(1, 8)} {
		code, err := d.SendXML(within(t, 5*time.Second), fmt.Sprintf("<Notify><CmdType>Catalog</CmdType><SN>%d</SN><DeviceID>%s</DeviceID><SumNum>1</SumNum>"+
			"<DeviceList Num=\"1\"><Item><DeviceID>%s</DeviceID><Event>OFF</Event></Item></DeviceList></Notify>", n+1, d.ID(), stranger))
		if err != nil || code != 200 {
			t.Fatalf("the notification got %d, %v", code, err)
		}
	}
	// The second answer of the catalogue tells that the first stranger is not in it; the next minute none is asked for.
	m.reported(d.ID(), channelID(1, 7), "vanished", func(r map[string]any) bool { return r["presence_reason"] == "vanished" })
	if n := asked(); n != 2 {
		t.Errorf("the catalog was asked for %d times, want once more", n)
	}
}
