package test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// standardCmdTypes are those of GB/T 28181 [GB28181-2022 A.2].
var standardCmdTypes = []string{
	"DeviceControl", "DeviceConfig", "DeviceStatus", "Catalog", "DeviceInfo", "RecordInfo", "Alarm", "ConfigDownload", "PresetQuery",
	"MobilePosition", "HomePositionQuery", "CruiseTrackListQuery", "CruiseTrackQuery", "PTZPosition", "SDCardStatus", "Keepalive",
	"MediaStatus", "Broadcast", "UploadSnapShotFinished", "VideoUploadNotify", "DeviceUpgradeResult",
}

// The README's table of conformance must name every message, and each test that it names must be
// there.
func TestTheConformanceTableIsTrue(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Conformance")
	section, _, ended := strings.Cut(section, "\n## ")
	if !found || !ended {
		t.Fatal("the README has no section Conformance")
	}
	tests := testsOf(t)
	code := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || strings.Contains(cells[0], "---") || strings.TrimSpace(cells[0]) == "message" {
			continue
		}
		rows++
		named := code.FindAllStringSubmatch(cells[4], -1)
		if len(named) == 0 && !strings.Contains(cells[4], "–") {
			t.Errorf("no test is named for %s", cells[0])
		}
		for _, n := range named {
			if !there(n[1], tests) {
				t.Errorf("%s is to be tested by %s, which is not there", strings.TrimSpace(cells[0]), n[1])
			}
		}
	}
	if rows < 10 {
		t.Errorf("the table has %d rows", rows)
	}
	prose := strings.ReplaceAll(section, "CruiseTrack…", "CruiseTrackListQuery CruiseTrackQuery")
	for _, cmdType := range standardCmdTypes {
		if !strings.Contains(strings.ToLower(prose), strings.ToLower(cmdType)) && cmdType != "DeviceControl" {
			t.Errorf("the table does not speak of %s", cmdType)
		}
	}
}

// there tells whether a test, a file or a folder of the project has a name.
func there(name string, tests map[string]bool) bool {
	if tests[name] {
		return true
	}
	for _, below := range []string{"..", "../mapping/gb28181"} {
		if found, err := filepath.Glob(filepath.Join(below, filepath.FromSlash(name))); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

// testsOf names every test, benchmark and fuzz target of the project.
func testsOf(t *testing.T) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, is := decl.(*ast.FuncDecl); is && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
