package bridge

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// passwordFile holds, in the data folder, the SIP password that was made up for a bridge
// whose configuration has none.
const passwordFile = "sip-password"

// generatedPassword reads the SIP password kept in the data folder, or makes one up and
// keeps it there, readable by its owner alone.
func generatedPassword(folder string) (string, error) {
	path := filepath.Join(folder, passwordFile)
	kept, err := os.ReadFile(path)
	switch password := strings.TrimSpace(string(kept)); {
	case err == nil && password != "":
		return password, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read the generated SIP password: %w; set sip.auth.password, or make %s readable", err, path)
	}
	// 12 letters and digits can be typed into a camera's web page, and are 60 bits.
	password := strings.ToLower(rand.Text()[:12])
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("make the data folder: %w; set store.path to a folder that can be written", err)
	}
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep the generated SIP password: %w; set sip.auth.password", err)
	}
	return password, nil
}
