package measure

// growth fits a straight line to values, which were taken at even distances, without the
// first quarter, in which a program warms up. It returns the share by which the line rises
// from there to the end; false: there are fewer than 8 values to go by.
func growth(values []float64) (float64, bool) {
	values = values[len(values)/4:]
	n := float64(len(values))
	if n < 8 {
		return 0, false
	}
	var sumX, sumY, sumXX, sumXY float64
	for i, y := range values {
		x := float64(i)
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	slope := (n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX)
	start := (sumY - slope*sumX) / n
	if start <= 0 {
		return 0, false
	}
	return slope * (n - 1) / start, true
}
