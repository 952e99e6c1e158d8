package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Badger writes through mapped sparse files: a disk that is full under it ends the process
// with SIGBUS, wherever it happens to write. So nothing is written while there is less room
// than headroom, which covers what is on its way already: the flush of the memtables and a
// compaction. The ballast is room of our own that is given back for opening and closing on
// a disk that others have filled.
const (
	headroom     = 24 << 20
	ballastSize  = 16 << 20
	openingNeeds = 4 << 20
)

// disk watches the room on the disk of a folder.
type disk struct {
	path    string
	free    func(path string) (bytes uint64, known bool)
	once    sync.Once
	ballast string
}

// prepareDisk makes the folder and sees that there is room to open a database in it.
func prepareDisk(path string) (*disk, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("store.path: folder %s can't be made: %w; give a folder that this user may write", path, err)
	}
	d := &disk{path: path, free: freeBytes, ballast: filepath.Join(path, "ballast")}
	if free, known := d.free(path); known && free < openingNeeds {
		if err := os.Remove(d.ballast); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("store: make room in %s: %w", path, err)
		}
	}
	free, known := d.free(path)
	if known && free < openingNeeds {
		return nil, fmt.Errorf("%w: the disk of %s has %d KiB left; at least %d KiB are needed to open the store: make room",
			ErrFull, path, free>>10, openingNeeds>>10)
	}
	if known && free > headroom+ballastSize {
		if err := d.load(); err != nil {
			return nil, fmt.Errorf("store: folder %s can't be written: %w; give a folder that this user may write", path, err)
		}
	}
	return d, nil
}

// load lays the ballast down, unless it is there.
func (d *disk) load() error {
	if fi, err := os.Stat(d.ballast); err == nil && fi.Size() == ballastSize {
		return nil
	}
	f, err := os.OpenFile(d.ballast, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(allocate(f, ballastSize), f.Close())
}

// release gives the ballast back when closing would need it.
func (d *disk) release() {
	if d.room() != nil {
		d.once.Do(func() { _ = os.Remove(d.ballast) }) // best effort: without it the close may fail as well
	}
}

// room returns nil when there is room to write, else ErrFull with the figures.
func (d *disk) room() error {
	free, known := d.free(d.path)
	if !known || free >= headroom {
		return nil
	}
	return fmt.Errorf("%w: the disk of %s has %d MiB left, writing stops below %d MiB; it goes on by itself when there is room",
		ErrFull, d.path, free>>20, headroom>>20)
}

// isSystemError tells faults of the system (rights, disk, handles) from those of the data.
func isSystemError(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist)
}

func writeZeros(f *os.File, size int64) error {
	block := make([]byte, 1<<16)
	for off := int64(0); off < size; off += int64(len(block)) {
		if _, err := f.WriteAt(block[:min(int64(len(block)), size-off)], off); err != nil {
			return err
		}
	}
	return nil
}
