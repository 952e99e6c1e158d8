package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeBytes returns the room that is left for us on the disk of path.
func freeBytes(path string) (uint64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, false
	}
	return st.Bavail * uint64(st.Bsize), true
}

// allocate gives f size bytes that are really on the disk.
func allocate(f *os.File, size int64) error {
	if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
		return writeZeros(f, size) // a file system without it
	}
	return nil
}
