package camera

import (
	"regexp"
	"sync"
	"testing"
)

func TestWhatCameIsPrintedInTheWordsOfTheStandard(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	p := newPlatform(t)
	registered(t, p, func(c *Config) {
		c.Print = func(line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		}
	})
	controlled(p, channel1, tag("PTZCmd", "A50F01021F0000D6"))
	raw, _ := request("MESSAGE", channel1, mansRequest("Control", "DeviceControl", channel1, tag("GuardCmd", "SetGuard")))
	p.send(raw)
	p.send(raw)
	p.query("Query", "ConfigDownload", deviceID, tag("ConfigType", "BasicParam"))
	p.ask("SUBSCRIBE", deviceID, mansRequest("Query", "Catalog", deviceID, ""), "Event: Catalog;id=1", "Expires: 600")
	p.ask("MESSAGE", deviceID, "<broken")
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{
		`401 to REGISTER$`, `200 OK to REGISTER$`,
		`MESSAGE Control DeviceControl SN=17 DeviceID=` + channel1 + ` PTZCmd=A50F01021F0000D6 \(left 31\)$`,
		`MESSAGE Control DeviceControl SN=17 DeviceID=` + channel1 + ` GuardCmd=SetGuard$`,
		`MESSAGE \(again\) Control DeviceControl .*GuardCmd=SetGuard$`,
		`MESSAGE Query ConfigDownload SN=17 DeviceID=` + deviceID + ` ConfigType=BasicParam$`,
		`SUBSCRIBE Event=Catalog;id=1 Expires=600 Query Catalog SN=17 DeviceID=` + deviceID + `$`,
		`MESSAGE \(its body is not XML: `,
	} {
		found := false
		whole := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3} ` + deviceID + ` ` + want)
		for _, line := range lines {
			found = found || whole.MatchString(line)
		}
		if !found {
			t.Errorf("no line like %q in\n%q", want, lines)
		}
	}
}

func TestPTZCommandsInWords(t *testing.T) {
	for hex, want := range map[string]string{
		"A50F01291F1F102C": "right 31, up 31, zoom out 1", "A50F0100000000B5": "stop", "A50F0140000000F5": "stop",
		"A50F01494040007E": "focus far 64, iris close 64", "A50F01820005003C": "preset 5 call", "A50F01840105003F": "cruise 1 add 5",
		"A50F01850100003B": "cruise 1 delete", "A50F0186012C1078": "cruise 1 speed 300", "A50F018901010040": "scan 1 left",
		"A50F018C01000042": "aux 1 on",
	} {
		if c, err := decodePTZ(hex); err != nil || c.String() != want {
			t.Errorf("%s is %q (%v), want %q", hex, c, err, want)
		}
	}
}
