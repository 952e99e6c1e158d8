package gb28181

import "strings"

// Alarm is an alarm notification [GB28181-2022 A.2.5.3]. Numbers are 0 when absent.
type Alarm struct {
	Priority    int // 1 (most severe) to 4
	Method      int // 1 phone, 2 device, 3 SMS, 4 GPS, 5 video, 6 device fault, 7 other
	Type        int // within the method
	EventType   int // of an intrusion: 1 enter, 2 leave
	Time        string
	Description string
}

func decodeAlarm(e *Element) *Alarm {
	a := &Alarm{
		Priority: orElse(e.Value("AlarmPriority"), 0), Method: orElse(e.Value("AlarmMethod"), 0),
		Time: e.Value("AlarmTime"), Description: e.Value("AlarmDescription"),
		Type: orElse(e.Value("AlarmType"), 0), // some send it beside Info
	}
	for _, info := range e.Children { // 2016 repeats Info: free text, and the holder of the type
		if strings.EqualFold(info.Name, "Info") && a.Type == 0 {
			a.Type = orElse(info.Value("AlarmType"), 0)
		}
	}
	if event := e.Find("EventType"); event != nil {
		a.EventType = orElse(event.Text, 0)
	}
	return a
}
