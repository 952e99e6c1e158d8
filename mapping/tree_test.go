package mapping

import (
	"fmt"
	"strings"
	"testing"
)

// drawn is a tree as indented lines: the name, the presence where there is one.
func drawn(n *TreeNode, depth int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s %s", strings.Repeat("  ", depth), n.Kind, n.ID)
	for _, more := range []string{n.Name, n.Presence} {
		if more != "" {
			b.WriteString(" " + more)
		}
	}
	if n.Also {
		b.WriteString(" (also)")
	}
	b.WriteString("\n")
	for _, c := range n.Children {
		b.WriteString(drawn(c, depth+1))
	}
	return b.String()
}

const (
	treePlatform = "34020000002000000009"
	treeNVR      = "34020000001180000001"
	treeGroup    = "34020000002150000001"
	treeOrg      = "34020000002160000001"
	treeSubOrg   = "34020000002160000002"
	treeCam      = "3402000000131000000"
)

func TestTreeOfALowerPlatform(t *testing.T) {
	got := drawn(Tree(treePlatform, []TreeItem{
		{ID: treeCam + "1", Name: "by region", ParentID: treePlatform, CivilCode: "34020001", Presence: "online"},
		{ID: treeCam + "2", Name: "by recorder and organisation", ParentID: treeNVR + "/" + treeSubOrg, Presence: "offline"},
		{ID: treeCam + "3", Name: "by group", ParentID: treePlatform, BusinessGroupID: treeGroup},
		{ID: treeCam + "4", Name: "by nothing", ParentID: "34020000001189999999", CivilCode: "CivilCode"},
		{ID: treeCam + "5", Name: "by itself", ParentID: treeCam + "5", CivilCode: "110000"},
		{ID: treeSubOrg, Name: "二组", ParentID: treeOrg, BusinessGroupID: treeGroup},
		{ID: treeOrg, Name: "一组", BusinessGroupID: treeGroup},
		{ID: treeGroup, Name: "治安", ParentID: treePlatform, CivilCode: "340200"},
		{ID: treeNVR, Name: "NVR", ParentID: treePlatform, CivilCode: "340200", Presence: "online"},
		{ID: "340200", Name: "芜湖市"}, {ID: "34", Name: "安徽省"},
		{ID: treePlatform, Name: "下级平台"},
		{ID: treeCam + "1", Name: "again"},
	}), 0)
	want := `system 34020000002000000009 下级平台
  region 34 安徽省
    region 340200 芜湖市
      recorder 34020000001180000001 NVR online
        channel 34020000001310000002 by recorder and organisation offline
      channel 34020000001310000001 by region online
  business_group 34020000002150000001 治安
    virtual_organisation 34020000002160000001 一组
      virtual_organisation 34020000002160000002 二组
        channel 34020000001310000002 by recorder and organisation offline (also)
    channel 34020000001310000003 by group
  channel 34020000001310000004 by nothing
  channel 34020000001310000005 by itself
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTreeHasEveryItemWhateverTheirParents(t *testing.T) {
	id := func(n int) string { return fmt.Sprintf("3402000000216%07d", n) }
	for name, parent := range map[string]func(n int) string{
		"a circle":        func(n int) string { return id((n + 1) % 100) },
		"two to a circle": func(n int) string { return id(n ^ 1) },
		"a chain":         func(n int) string { return id(n + 1) },
		"everybody":       func(n int) string { return strings.Join([]string{id(1), id(2), id(3), id(n / 2), id(n + 7)}, "/") },
	} {
		var items []TreeItem
		for n := range 100 {
			items = append(items, TreeItem{ID: id(n), ParentID: parent(n)})
		}
		seen := map[string]bool{}
		nodes := 0
		var walk func(n *TreeNode, depth int)
		walk = func(n *TreeNode, depth int) {
			if nodes++; nodes > 1000 || depth > mostDepth {
				t.Fatalf("%s: the tree has no end", name)
			}
			if !n.Also {
				if seen[n.ID] {
					t.Errorf("%s: %s is there twice", name, n.ID)
				}
				seen[n.ID] = true
			}
			for _, c := range n.Children {
				walk(c, depth+1)
			}
		}
		walk(Tree(treePlatform, items), 0)
		if len(seen) != 101 {
			t.Errorf("%s: %d of 101 nodes are there", name, len(seen))
		}
	}
}

func BenchmarkTreeOf100kChannels(b *testing.B) {
	items := []TreeItem{{ID: treeGroup}, {ID: treeNVR}}
	for n := range 100_000 {
		items = append(items, TreeItem{ID: fmt.Sprintf("34020000001310%06d", n), ParentID: fmt.Sprintf("34020000001310%06d/%s", n+1, treeGroup)})
	}
	for b.Loop() {
		Tree(treePlatform, items)
	}
}
