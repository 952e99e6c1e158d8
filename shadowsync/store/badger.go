package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Sizes for a small machine. The arena of a memtable is on the heap, and its write-ahead log
// is mapped at twice its size; both are touched only as far as they are written.
const (
	memTableSize     = 8 << 20
	valueLogFileSize = 16 << 20 // mapped at twice its size, and sparse: values are kept in the tables
	valueThreshold   = 1 << 20  // values up to this stay beside their keys
	indexCacheSize   = 16 << 20
	blockCacheSize   = 4 << 20
	// Tables are small on all levels: a compaction builds a dozen at a time, each in buffers of
	// several times its size.
	tableSize           = 1 << 20
	tableSizeMultiplier = 1 // from level to level
)

// format is the version of keys and values that this program writes.
const format = 1

var formatKey = Key(KindMeta, "format")

// openBadger opens the database of cfg. What Badger says by a panic becomes an error.
func openBadger(cfg Config, log *slog.Logger) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			log.Debug("badger panicked at its opening", "path", cfg.Path, "panic", r, "stack", string(debug.Stack()))
			db, err = nil, damaged(cfg.Path, fmt.Errorf("%v", r))
		}
	}()
	if err := checkTables(cfg.Path); err != nil {
		if isSystemError(err) {
			return nil, fmt.Errorf("store: open folder %s: %w", cfg.Path, err)
		}
		return nil, damaged(cfg.Path, err)
	}
	opt := badger.DefaultOptions(cfg.Path).
		WithSyncWrites(cfg.Sync).
		WithLogger(badgerLog{log}).
		WithMemTableSize(memTableSize).
		WithNumMemtables(2).
		WithValueThreshold(valueThreshold).
		WithValueLogFileSize(valueLogFileSize).
		WithIndexCacheSize(indexCacheSize).
		WithBlockCacheSize(blockCacheSize).
		WithCompression(options.Snappy).
		WithChecksumVerificationMode(options.OnBlockRead). // a damaged block is an error, not nonsense
		WithBaseTableSize(tableSize).
		WithNumCompactors(2).
		WithNumGoroutines(2).
		WithDetectConflicts(false). // one writer
		WithMetricsEnabled(false)
	opt.TableSizeMultiplier = tableSizeMultiplier
	db, err = badger.OpenManaged(opt)
	switch {
	case err == nil:
		return db, nil
	case strings.Contains(err.Error(), "directory lock"):
		return nil, fmt.Errorf("%w: folder %s; end the other gb2mqtt that uses it, or give this one a store.path of its own (%v)",
			ErrLocked, cfg.Path, err)
	case isSystemError(err):
		return nil, fmt.Errorf("store: open folder %s: %w", cfg.Path, err)
	default:
		return nil, damaged(cfg.Path, err)
	}
}

func damaged(path string, why error) error {
	return fmt.Errorf("%w: folder %s is damaged (%v); put back a copy of it, or move it away to start with an empty store", ErrDamaged, path, why)
}

// closeBadger closes db; a panic of it becomes an error.
func closeBadger(db *badger.DB) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("store: close: %v", r)
		}
	}()
	if err := db.Close(); err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

// checkFormat marks a new store with its format and refuses one that is not ours to read.
func (s *Store) checkFormat() error {
	value, err := s.Get(formatKey)
	if errors.Is(err, ErrNotFound) {
		return s.markFormat()
	}
	if err != nil {
		return damaged(s.cfg.Path, err)
	}
	if len(value) != 4 {
		return damaged(s.cfg.Path, fmt.Errorf("its format version has %d bytes instead of 4", len(value)))
	}
	if v := binary.BigEndian.Uint32(value); v != format {
		return fmt.Errorf("%w: folder %s has format %d, this gb2mqtt reads format %d; start the version that wrote it, or give another store.path",
			ErrFormat, s.cfg.Path, v, format)
	}
	return nil
}

func (s *Store) markFormat() error {
	foreign := false
	if err := s.ScanKeys(nil, func([]byte) bool { foreign = true; return false }); err != nil {
		return damaged(s.cfg.Path, err)
	}
	if foreign {
		return fmt.Errorf("%w: folder %s holds a Badger database without a format version; give another store.path", ErrFormat, s.cfg.Path)
	}
	err := s.db.commit(func(txn *badger.Txn) error {
		return txn.Set(formatKey, binary.BigEndian.AppendUint32(nil, format))
	})
	if err != nil {
		return fmt.Errorf("store: write to %s: %w", s.cfg.Path, err)
	}
	return nil
}

// badgerLog carries Badger's log lines to slog: what it tells of itself is for debugging.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) say(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "badger", "text", strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

func (l badgerLog) Errorf(f string, a ...any)   { l.say(slog.LevelWarn, f, a) }
func (l badgerLog) Warningf(f string, a ...any) { l.say(slog.LevelWarn, f, a) }
func (l badgerLog) Infof(f string, a ...any)    { l.say(slog.LevelDebug, f, a) }
func (l badgerLog) Debugf(string, ...any)       {} // several lines a commit
