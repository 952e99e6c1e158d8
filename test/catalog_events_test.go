package test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/gb2mqtt/gb2mqtt/test/camera"
)

// subscribed waits until the bridge has subscribed to a kind, by its CmdType, and the device
// has sent its first NOTIFY.
func subscribed(t testing.TB, d *camera.Device, cmd string) camera.Subscription {
	t.Helper()
	return subscribedAnew(t, d, cmd, "")
}

// subscribedAnew waits for a subscription in another dialog than the one before.
func subscribedAnew(t testing.TB, d *camera.Device, cmd, before string) camera.Subscription {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if s, live := d.Subscription(cmd); live && s.CallID != before && s.Notified > 0 {
			return s
		}
	}
	t.Fatalf("%s is not subscribed to %s", d.ID(), cmd)
	return camera.Subscription{}
}

// overBoth runs a story over UDP and over TCP.
func overBoth(t *testing.T, story func(t *testing.T, p *program, server string), edit func(config) config) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			c := baseConfig()
			if edit != nil {
				c = edit(c)
			}
			p := start(t, c)
			story(t, p, map[string]string{"udp": p.udp, "tcp": p.tcp}[network])
		})
	}
}

func TestCatalogueEventsAreAppliedToChannels(t *testing.T) {
	overBoth(t, func(t *testing.T, p *program, server string) {
		d := newCamera(t, server, 1, nil)
		topic := "gb28181/" + d.ID() + "/"
		m := connect(t, p.mqtt, topic+"#")
		register(t, d)
		one, fresh := channelID(1, 0), channelID(1, 9)
		m.wait(0, "channel", on(topic+one+"/presence", "online"))
		m.wait(0, "catalog event", on(topic+"event/catalog"))
		subscribed(t, d, "Catalog")
		for _, step := range []struct {
			event    string
			channel  camera.Channel
			presence string // after it; "" when it does not change
			reason   string
			status   any
			channels float64
		}{
			{"OFF", camera.Channel{ID: one}, "offline", "status", "OFF", 3},
			{"VLOST", camera.Channel{ID: one}, "", "status", "VLOST", 3},
			{"ON", camera.Channel{ID: one}, "online", "registered", "ON", 3},
			{"DEFECT", camera.Channel{ID: one}, "offline", "status", "DEFECT", 3},
			{"UPDATE", camera.Channel{ID: one, Name: "后门"}, "online", "registered", "ON", 3},
			{"ADD", camera.Channel{ID: fresh, Name: "车库", CivilCode: "340203"}, "online", "registered", "ON", 4},
			{"ADD", camera.Channel{ID: channelID(1, 8), Name: "off from the start", Status: "OFF"}, "offline", "status", "OFF", 5},
			{"DEL", camera.Channel{ID: fresh}, "offline", "vanished", "ON", 4},
		} {
			mark := m.mark()
			if code, err := d.ChangeCatalog(within(t, 10*time.Second), camera.Change{Event: step.event, Channel: step.channel}); code != 200 || err != nil {
				t.Fatalf("%s got %d, %v", step.event, code, err)
			}
			told := m.wait(mark, step.event, on(topic+step.channel.ID+"/event/catalog")).json(t)
			if told["event"] != step.event || told["channel"] != step.channel.ID || told["device"] != d.ID() {
				t.Errorf("%s: the event is %v", step.event, told)
			}
			if name := step.channel.Name; name != "" && told["name"] != name {
				t.Errorf("%s: the event calls the channel %v, want %s", step.event, told["name"], name)
			}
			if step.presence != "" {
				m.wait(mark, step.event+" presence", on(topic+step.channel.ID+"/presence", step.presence))
			}
			reported := m.reported(d.ID(), step.channel.ID, step.event, func(r map[string]any) bool {
				return r["status"] == step.status && r["presence_reason"] == step.reason
			})
			if name := step.channel.Name; name != "" && at(reported, "catalog.name") != name {
				t.Errorf("%s: the shadow calls the channel %v, want %s", step.event, at(reported, "catalog.name"), name)
			}
			m.reported(d.ID(), "", fmt.Sprintf("%v channels after %s", step.channels, step.event), func(r map[string]any) bool { return r["channels"] == step.channels })
		}
		// It is forgotten with all that is retained of it, after devices.vanished.
		m.wait(0, "the end of its state", on(topic+fresh+"/state", ""))
		m.wait(0, "the end of its presence", on(topic+fresh+"/presence", ""))
		if doc := m.shadow(d.ID(), fresh); doc != nil {
			t.Errorf("the shadow of a forgotten channel is %v", doc)
		}
		late := connect(t, p.mqtt, topic+"+/presence")
		late.wait(0, "the others", on(topic+one+"/presence", "online"))
		if n := len(late.messages(topic + fresh + "/presence")); n != 0 {
			t.Error("a forgotten channel has a retained presence")
		}
	}, func(c config) config { return c.with("devices.vanished", "1s") })
}

// What is not normal is told right after the SUBSCRIBE; who is not mentioned is as it was.
func TestTheFirstNotificationTellsWhatIsNotNormal(t *testing.T) {
	p := start(t, baseConfig().with("devices.on_register", []string{}))
	d := newCamera(t, p.udp, 1, nil)
	topic := "gb28181/" + d.ID() + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	subscribed(t, d, "Catalog")
	m.publish(topic+"cmd/catalog", map[string]any{})
	m.wait(0, "channel", on(topic+channelID(1, 1)+"/presence", "online"))
	d.SetChannels(camera.Channel{ID: channelID(1, 0), Status: "DEFECT"}, camera.Channel{ID: channelID(1, 1)}, camera.Channel{ID: channelID(1, 2)})
	mark := m.mark()
	before, _ := d.Subscription("Catalog")
	d.ForgetSubscriptions()
	m.publish(topic+"cmd/subscribe", map[string]any{"kind": "catalog", "expires": 0, "clientToken": "end"})
	m.wait(mark, "end of the subscription", token(topic+"cmd/subscribe/accepted", "end"))
	m.publish(topic+"cmd/subscribe", map[string]any{"kind": "catalog", "expires": 600})
	subscribedAnew(t, d, "Catalog", before.CallID)
	m.wait(mark, "the faulty one", on(topic+channelID(1, 0)+"/presence", "offline"))
	for _, msg := range m.messages(topic + channelID(1, 1) + "/presence") {
		if string(msg.payload) != "online" {
			t.Errorf("a channel that was not mentioned is %s", msg.payload)
		}
	}
}

// A change that was never told shows when the catalogue is asked for again: because a later
// one does not add up, or because somebody asks.
func TestMissedChangesAreHealedByTheWholeCatalogue(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	topic := "gb28181/" + d.ID() + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	m.wait(0, "catalog event", on(topic+"event/catalog"))
	subscribed(t, d, "Catalog")
	kept, lost, missed := channelID(1, 0), channelID(1, 1), channelID(1, 7)
	d.SetChannels(camera.Channel{ID: kept, Name: "一"}, camera.Channel{ID: missed, Name: "新"})
	mark := m.mark()
	if code, err := d.ChangeCatalog(within(t, 10*time.Second), camera.Change{Event: "OFF", Channel: camera.Channel{ID: missed}}); code != 200 || err != nil {
		t.Fatalf("%d, %v", code, err)
	}
	m.wait(mark, "the whole catalogue", on(topic+"event/catalog"))
	m.reported(d.ID(), missed, "its name", func(r map[string]any) bool { return at(r, "catalog.name") == "新" && r["status"] == "OFF" })
	m.reported(d.ID(), lost, "vanished", func(r map[string]any) bool { return r["presence_reason"] == "vanished" })
	m.reported(d.ID(), "", "two channels", func(r map[string]any) bool { return r["channels"] == 2.0 })
}

// A device that speaks of itself in a part of its catalogue is no channel of its own: only
// the whole catalogue tells that there is nothing else.
func TestADeviceAmongItsItemsIsNoChannelBesideOthers(t *testing.T) {
	p := start(t, baseConfig())
	with := newCamera(t, p.udp, 1, func(c *camera.Config) {
		c.CatalogPerPacket = 1
		c.Channels = append([]camera.Channel{{ID: c.ID, Name: "itself"}}, c.Channels...)
	})
	alone := newCamera(t, p.udp, 2, func(c *camera.Config) { c.Channels = []camera.Channel{{ID: c.ID, Name: "itself"}} })
	m := connect(t, p.mqtt, "gb28181/+/+/presence", "gb28181/+/event/catalog")
	register(t, with)
	register(t, alone)
	m.wait(0, "catalogue", on("gb28181/"+with.ID()+"/event/catalog"))
	m.wait(0, "the only channel", on("gb28181/"+alone.ID()+"/"+alone.ID()+"/presence", "online"))
	subscribed(t, with, "Catalog")
	subscribed(t, alone, "Catalog")
	mark := m.mark()
	for _, d := range []*camera.Device{with, alone} {
		if code, err := d.ChangeCatalog(within(t, 10*time.Second), camera.Change{Event: "OFF", Channel: camera.Channel{ID: d.ID()}}); code != 200 || err != nil {
			t.Fatalf("%d, %v", code, err)
		}
	}
	m.wait(mark, "the only channel off", on("gb28181/"+alone.ID()+"/"+alone.ID()+"/presence", "offline"))
	if got := m.messages("gb28181/" + with.ID() + "/" + with.ID() + "/presence"); len(got) != 0 {
		t.Errorf("the device is shown as a channel of its own: %d messages", len(got))
	}
}

// A part that somebody asks for by raw is no whole catalogue: who is not in it is still there.
func TestAPartOfTheCatalogueMakesNobodyVanish(t *testing.T) {
	p := start(t, baseConfig())
	part := channelID(1, 0)
	d := newCamera(t, p.udp, 1, func(c *camera.Config) {
		c.Channels = append(c.Channels, camera.Channel{ID: "340200", Name: "芜湖市"})
		c.OnRequest = func(r *camera.Request) bool {
			if r.CmdType != "Catalog" || r.DeviceID != "340200" {
				return false
			}
			r.Answer(200)
			go func() {
				_, _ = r.Device().SendXML(context.Background(), "<Response><CmdType>Catalog</CmdType><SN>"+r.SN+"</SN><DeviceID>340200</DeviceID><SumNum>1</SumNum>"+
					"<DeviceList Num=\"1\"><Item><DeviceID>"+part+"</DeviceID><Name>改名</Name><Status>ON</Status></Item></DeviceList></Response>")
			}()
			return true
		}
	})
	topic := "gb28181/" + d.ID() + "/"
	m := connect(t, p.mqtt, topic+"#")
	register(t, d)
	m.wait(0, "catalog event", on(topic+"event/catalog"))
	m.publish(topic+"cmd/raw", map[string]any{"clientToken": "r",
		"xml": "<Query><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>340200</DeviceID></Query>"})
	m.wait(0, "the part", token(topic+"cmd/raw/accepted", "r"))
	m.reported(d.ID(), part, "its new name", func(r map[string]any) bool { return at(r, "catalog.name") == "改名" })
	m.reported(d.ID(), channelID(1, 2), "still online", func(r map[string]any) bool { return r["presence"] == "online" })
	m.reported(d.ID(), "", "three channels", func(r map[string]any) bool { return r["channels"] == 3.0 })
}

// What a channel's item says is not written again while it says the same; a shadow that
// somebody deleted has it again all the same.
func TestADeletedShadowOfAChannelHasItsItemAgain(t *testing.T) {
	p := start(t, baseConfig())
	d := newCamera(t, p.udp, 1, nil)
	channel := channelID(1, 1)
	m := connect(t, p.mqtt, "gb28181/"+d.ID()+"/event/catalog")
	register(t, d)
	m.wait(0, "catalog event", on("gb28181/"+d.ID()+"/event/catalog"))
	m.reported(d.ID(), channel, "its name", func(r map[string]any) bool { return at(r, "catalog.name") == "相机1" })
	mark := m.mark()
	m.publish(shadowTopic(d.ID(), channel)+"/delete", "")
	m.wait(mark, "the whole catalogue", on("gb28181/"+d.ID()+"/event/catalog"))
	m.reported(d.ID(), channel, "its name and presence again", func(r map[string]any) bool {
		return at(r, "catalog.name") == "相机1" && r["presence"] == "online" && r["status"] == "ON"
	})
}
