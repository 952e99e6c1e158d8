package fleet

import "github.com/gb2mqtt/gb2mqtt/mapping/gb28181"

// Debt is why the shadow of a device or a channel may not have what the fleet knows.
type Debt uint8

// The debts. One thing may have both.
const (
	Restart Debt = 1 << iota // Restore made something of it
	Missed                   // a report could not be taken
)

// Debts returns what is owed to the shadow of a device, or of its channel where that is not zero.
func (f *Fleet) Debts(device, channel gb28181.ID) (d Debt) {
	sh := f.shardOf(device)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if owed := sh.debtLocked(device, channel); owed != nil {
		d = *owed
	}
	return d
}

// Owe notes a debt.
func (f *Fleet) Owe(device, channel gb28181.ID, d Debt) {
	sh := f.shardOf(device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if owed := sh.debtLocked(device, channel); owed != nil {
		*owed |= d
	}
}

// Pay tells that debts are paid.
func (f *Fleet) Pay(device, channel gb28181.ID, d Debt) {
	sh := f.shardOf(device)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if owed := sh.debtLocked(device, channel); owed != nil {
		*owed &^= d
	}
}

func (sh *shard) debtLocked(device, channel gb28181.ID) *Debt {
	s := sh.sessions.get(device)
	switch {
	case s == nil:
		return nil
	case channel.IsZero():
		return &s.debt
	}
	if ch := s.channels[channel]; ch != nil {
		return &ch.debt
	}
	return nil
}
