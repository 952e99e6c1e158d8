package gb28181

import "testing"

func TestHashTellsWhatAnItemSaysBesideItsStatus(t *testing.T) {
	item := func(inner string) CatalogItem {
		t.Helper()
		m, err := Decode([]byte("<Response><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>34020000001320000001</DeviceID><SumNum>1</SumNum><DeviceList Num='1'><Item>" +
			inner + "</Item></DeviceList></Response>"))
		if err != nil {
			t.Fatal(err)
		}
		return m.Body.(*Catalog).Items[0]
	}
	const id = "<DeviceID>34020000001310000001</DeviceID>"
	base := item(id + "<Name>门</Name><Status>ON</Status><Info><PTZType>1</PTZType></Info>").Hash()
	for text, same := range map[string]bool{
		id + "<Status>OFF</Status><Name>门</Name><Info><PTZType>1</PTZType></Info>":                  true,
		id + "<Event>UPDATE</Event><Name>门</Name><Info><PTZType>1</PTZType></Info>":                 true,
		id + "<Name>门口</Name><Status>ON</Status><Info><PTZType>1</PTZType></Info>":                  false,
		id + "<Name>门</Name><Status>ON</Status><Info><PTZType>2</PTZType></Info>":                   false,
		id + "<Name>门</Name><Status>ON</Status><PTZType>1</PTZType>":                                false,
		id + "<Name>门</Name><Status>ON</Status><Info><PTZType>1</PTZType></Info><Model>PTZ</Model>": false,
	} {
		if got := item(text).Hash(); (got == base) != same || got == 0 {
			t.Errorf("%s: the same %v, want %v", text, got == base, same)
		}
	}
	if got := item(id + "<Event>OFF</Event>").Hash(); got != 0 {
		t.Errorf("an item that says nothing has the hash %d", got)
	}
}
