package test

import (
	"strings"
	"testing"
	"time"
)

// cloudConfig is a second gb2mqtt in the place of AWS IoT.
func cloudConfig() config { return baseConfig().with("shadow.client_reported", true) }

// upstreamTo is the edge's configuration with its link to the cloud.
func upstreamTo(cloud *program, direction string) config {
	return baseConfig().with("mqtt.links", []config{{
		"name": "cloud", "url": cloud.mqtt, "kind": "aws", "thing": "edge-{device}", "direction": direction, "client_id": "edge-" + direction,
	}})
}

// holds waits until cond holds for a whole shadow document.
func (c *client) holds(thing, name, what string, cond func(doc map[string]any) bool) map[string]any {
	c.t.Helper()
	var doc map[string]any
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if doc = c.shadow(thing, name); doc != nil && cond(doc) {
			return doc
		}
	}
	c.t.Fatalf("the shadow %s %s never showed %s; last: %v", thing, name, what, doc)
	return nil
}

func desire(c *client, thing, name string, state any) {
	c.publish(shadowTopic(thing, name)+"/update", map[string]any{"state": map[string]any{"desired": state}})
}

func TestShadowsOfTheEdgeAndTheCloudAreOne(t *testing.T) {
	t.Parallel()
	cloudFolder, edgeFolder := t.TempDir(), t.TempDir()
	cloudConf := cloudConfig()
	cloud := startIn(t, cloudFolder, cloudConf)
	edge := startIn(t, edgeFolder, upstreamTo(cloud, "both"))
	d := newCamera(t, edge.udp, 1, nil)
	cam, channel := d.ID(), channelID(1, 0)
	here, there := connect(t, edge.mqtt), connect(t, cloud.mqtt)
	register(t, d)

	// Up, classic and named.
	there.holds("edge-"+cam, "", "its presence", func(doc map[string]any) bool { return at(doc, "state.reported.presence") == "online" })
	there.holds("edge-"+cam, channel, "its catalogue", func(doc map[string]any) bool { return at(doc, "state.reported.catalog.name") == "相机0" })

	// Down, and what the camera did shows there.
	desire(there, "edge-"+cam, channel, map[string]any{"recording": true})
	there.holds("edge-"+cam, channel, "recording as reported", func(doc map[string]any) bool {
		return at(doc, "state.reported.recording") == true && at(doc, "state.delta") == nil
	})

	// Desired set here stays here, and is not taken back by the cloud.
	desire(here, "plain", "", map[string]any{"mine": 1})
	desire(there, "edge-plain", "", map[string]any{"theirs": map[string]any{"a": 1, "b": 2}})
	here.holds("plain", "", "both desires", func(doc map[string]any) bool {
		return at(doc, "state.desired.mine") == 1.0 && at(doc, "state.desired.theirs.b") == 2.0
	})
	if doc := there.shadow("edge-plain", ""); at(doc, "state.desired.mine") != nil {
		t.Errorf("desired set at the edge went up: %v", doc)
	}

	// Nothing echoes: with nobody changing anything, versions stand still on both sides.
	here.settle(cam, "")
	there.settle("edge-"+cam, "")

	// An outage: both sides change, then are brought together.
	cloud.kill()
	desire(here, "plain", "", map[string]any{"theirs": map[string]any{"a": 7}})
	port := strings.TrimPrefix(cloud.mqtt, "tcp://")
	cloud = startIn(t, cloudFolder, cloudConf.with("mqtt.embedded.listen", []string{"tcp://127.0.0.1:0"}))
	there = connect(t, cloud.mqtt)
	desire(there, "edge-plain", "", map[string]any{"theirs": map[string]any{"b": nil, "c": 3}})
	there.publish(shadowTopic("edge-"+cam, "")+"/update", map[string]any{"state": map[string]any{"reported": map[string]any{"presence": "forged"}}})
	there.holds("edge-"+cam, "", "what was forged", func(doc map[string]any) bool { return at(doc, "state.reported.presence") == "forged" })
	cloud.stop()
	cloud = startIn(t, cloudFolder, cloudConf.with("mqtt.embedded.listen", []string{"tcp://" + port})) // now the edge finds it
	there = connect(t, cloud.mqtt)
	there.holds("edge-"+cam, "", "our reported", func(doc map[string]any) bool { return at(doc, "state.reported.presence") == "online" })
	here.holds("plain", "", "the cloud's word", func(doc map[string]any) bool {
		return at(doc, "state.desired.theirs.a") == 1.0 && at(doc, "state.desired.theirs.b") == nil &&
			at(doc, "state.desired.theirs.c") == 3.0 && at(doc, "state.desired.mine") == 1.0
	})
}

// settle waits until a shadow keeps its version for a while, or fails.
func (c *client) settle(thing, name string) {
	c.t.Helper()
	last, since := -1.0, time.Now()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		version, _ := c.shadow(thing, name)["version"].(float64)
		if version != last {
			last, since = version, time.Now()
		} else if time.Since(since) > time.Second {
			return
		}
	}
	c.t.Fatalf("the shadow %s %s goes on changing: version %v", thing, name, last)
}

func TestUpstreamOfOneDirectionLeavesTheOther(t *testing.T) {
	t.Parallel()
	cloud := start(t, cloudConfig())
	up, down := start(t, upstreamTo(cloud, "up")), start(t, upstreamTo(cloud, "down"))
	there, onUp, onDown := connect(t, cloud.mqtt), connect(t, up.mqtt), connect(t, down.mqtt)
	d := newCamera(t, up.udp, 1, nil)
	register(t, d)
	there.holds("edge-"+d.ID(), "", "its presence", func(doc map[string]any) bool { return at(doc, "state.reported.presence") == "online" })
	desire(there, "edge-x", "", map[string]any{"k": 1})
	onDown.holds("x", "", "the cloud's desired", func(doc map[string]any) bool { return at(doc, "state.desired.k") == 1.0 })
	if doc := onUp.shadow("x", ""); doc != nil {
		t.Errorf("direction up brought desired down: %v", doc)
	}
}
