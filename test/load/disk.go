package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// Each writer writes so much at once, over and over a file of this size.
const (
	diskPiece = 1 << 20
	diskFile  = 64 << 20
)

// writeDisk is a disk made slow the honest way: neighbours that write and sync without
// pause in the file system of the bridge's store. It ends with ctx and leaves nothing.
func writeDisk(ctx context.Context, folder string, writers int) error {
	var all errgroup.Group
	for i := range writers {
		all.Go(func() error { return writeOver(ctx, filepath.Join(folder, fmt.Sprintf("neighbour-%d", i))) })
	}
	return all.Wait()
}

func writeOver(ctx context.Context, name string) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("disk writer: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	piece := make([]byte, diskPiece)
	for at := int64(0); ctx.Err() == nil; at = (at + diskPiece) % diskFile {
		if _, err := f.WriteAt(piece, at); err != nil {
			return fmt.Errorf("disk writer: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("disk writer: %w", err)
		}
	}
	return nil
}
