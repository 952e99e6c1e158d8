package camera

import (
	"math"
	"strconv"
	"time"
)

// Place is where a device or a channel is, and how it moves [GB28181-2022 A.2.5.6].
type Place struct {
	Channel             string  // the device itself when empty
	Longitude, Latitude float64 // WGS-84
	Speed               float64 // km/h
	Direction           float64 // degrees clockwise from north, 0 ≤ x < 360
	Altitude            float64 // m
	Time                time.Time
}

// A device that moves goes round its own place: so far from it, once in so long.
const (
	roundRadius = 100.0 // m
	roundTime   = 60 * time.Second
	altitude    = 12.0
)

// Where a channel is that was given no place: Hefei.
const homeLongitude, homeLatitude = 117.2272, 31.8206

// place returns where a target is at a time. It goes clockwise on a circle round the place
// of its channel.
func (d *Device) place(id string, at time.Time) Place {
	longitude, latitude := homeLongitude, homeLatitude
	for _, c := range d.channels() {
		if c.ID == id && (c.Longitude != 0 || c.Latitude != 0) {
			longitude, latitude = c.Longitude, c.Latitude
		}
	}
	const metres = 111_320 // of one degree of latitude
	turn := 2 * math.Pi * math.Mod(at.Sub(d.born).Seconds(), roundTime.Seconds()) / roundTime.Seconds()
	return Place{
		Channel: id, Time: at,
		Longitude: longitude + roundRadius*math.Sin(turn)/metres/math.Cos(latitude*math.Pi/180),
		Latitude:  latitude + roundRadius*math.Cos(turn)/metres,
		Speed:     2 * math.Pi * roundRadius / roundTime.Hours() / 1000,
		Direction: wrap(math.Round(turn*1800/math.Pi)/10 + 90),
		Altitude:  altitude,
	}
}

// fields writes a place: 2016 has these at the top level, 2022 in an Item.
func (p Place) fields() []string {
	return []string{tag("Longitude", fixed(p.Longitude, 6)), tag("Latitude", fixed(p.Latitude, 6)), tag("Speed", fixed(p.Speed, 1)),
		tag("Direction", fixed(p.Direction, 1)), tag("Altitude", fixed(p.Altitude, 1))}
}

// fixed writes a number with so many decimals.
func fixed(v float64, decimals int) string { return strconv.FormatFloat(v, 'f', decimals, 64) }

// answerPlace answers a MobilePosition query the only way there is: with a Notify of the
// query's SN [GB28181-2022 A.2.4.9].
func (d *Device) answerPlace(r *Request) {
	d.respondAll([]string{d.placesBody(r.SN, []Place{d.place(r.DeviceID, time.Now())})})
}
