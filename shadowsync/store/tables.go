package store

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// checkTables looks at the footer and the index of every table in the folder. Badger reads
// them at its opening on goroutines of its own and panics there on a damaged one, which
// nobody could recover from.
func checkTables(path string) error {
	names, err := filepath.Glob(filepath.Join(globEscape(path), "*.sst"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := checkTable(name); err != nil {
			return fmt.Errorf("table %s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

// globEscape makes a path stand for itself in a pattern.
func globEscape(path string) string {
	var b []byte
	for i := range len(path) {
		if c := path[i]; c == '*' || c == '?' || c == '[' || c == '\\' && filepath.Separator != '\\' {
			b = append(b, '\\')
		}
		b = append(b, path[i])
	}
	return string(b)
}

// checkTable reads a table from its end: length of the checksum, checksum, length of the
// index, index.
func checkTable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	end := fi.Size()
	back := func(n int64) ([]byte, error) {
		if n < 0 || n > end {
			return nil, fmt.Errorf("a part of %d bytes is said to end at byte %d", n, end)
		}
		end -= n
		b := make([]byte, n)
		_, err := f.ReadAt(b, end)
		return b, err
	}
	counted := func() ([]byte, error) {
		n, err := back(4)
		if err != nil {
			return nil, err
		}
		return back(int64(binary.BigEndian.Uint32(n)))
	}
	checksum, err := counted()
	if err != nil {
		return err
	}
	var want pb.Checksum
	if err := proto.Unmarshal(checksum, &want); err != nil {
		return fmt.Errorf("checksum of the index: %w", err)
	}
	if want.Algo != pb.Checksum_CRC32C && want.Algo != pb.Checksum_XXHash64 {
		return fmt.Errorf("checksum of the index is of the unknown kind %d", want.Algo)
	}
	index, err := counted()
	if err != nil {
		return err
	}
	if len(index) == 0 {
		return fmt.Errorf("it has no index")
	}
	if err := y.VerifyChecksum(index, &want); err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return nil
}
