package configs

import "strings"

// nearest returns the known key that an unknown one at path most likely means: a sibling
// spelt much alike, else a key of that very name elsewhere, else the nearest sibling.
func nearest(path, unknown string, siblings []field, all []string) string {
	best, least := "", 0
	for _, f := range siblings {
		if d := distance(strings.ToLower(unknown), f.name); best == "" || d < least {
			best, least = join(path, f.name), d
		}
	}
	if best != "" && least <= max(2, len(unknown)/3) {
		return best
	}
	for _, key := range all {
		if strings.HasSuffix(key, "."+unknown) || key == unknown {
			return key
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their neighbour to
// turn a into b.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, row := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		next := make([]int, len(y)+1)
		next[0] = i + 1
		for j := range y {
			d := row[j]
			if x[i] != y[j] {
				d++
			}
			d = min(d, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				d = min(d, before[j-1]+1)
			}
			next[j+1] = d
		}
		before, row = row, next
	}
	return row[len(y)]
}
