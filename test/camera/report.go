package camera

import (
	"context"
	"strconv"
	"time"
)

// tell sends a Notify by MESSAGE; done may be nil.
func (d *Device) tell(done func(reply), cmd, subject string, rest ...string) {
	body := frame("Notify", cmd, strconv.Itoa(d.NextSN()), subject, rest...)
	d.begin(outgoing{method: "MESSAGE", kind: KindMessage, body: d.encode(body)}, orNobody(done))
}

// telling is tell that waits for the answer, and returns its code.
func (d *Device) telling(ctx context.Context, cmd, subject string, rest ...string) (code int, err error) {
	orDefault(&subject, d.cfg.ID)
	r, err := d.wait(ctx, func(done func(reply)) { d.tell(done, cmd, subject, rest...) })
	return r.code(), err
}

// inform sends a body in the subscription to it, by MESSAGE where there is none; done may be
// nil.
func (d *Device) inform(cmd string, kind Kind, body string, done func(reply)) {
	if s := d.subscribed(cmd); s != nil {
		d.push(s, notice{kind: kind, body: body, done: done})
		return
	}
	d.begin(outgoing{method: "MESSAGE", kind: kind, body: d.encode(body)}, orNobody(done))
}

// orNobody is done, or what tells nobody.
func orNobody(done func(reply)) func(reply) {
	if done == nil {
		return func(reply) {}
	}
	return done
}

// MediaStatus tells that a channel's history file has been sent to its end: NotifyType 121
// [GB28181-2022 A.2.5.4]. The channel is the device itself when empty.
func (d *Device) MediaStatus(ctx context.Context, channel string) (code int, err error) {
	return d.telling(ctx, "MediaStatus", channel, tag("NotifyType", "121"))
}

// VideoUpload asks to be watched, as a body camera does [GB28181-2022 A.2.5.8]. A place of
// 0, 0 is left out.
func (d *Device) VideoUpload(ctx context.Context, channel string, at time.Time, longitude, latitude float64) (code int, err error) {
	var place string
	if longitude != 0 || latitude != 0 {
		place = tag("Longitude", decimal(longitude)) + tag("Latitude", decimal(latitude))
	}
	return d.telling(ctx, "VideoUploadNotify", channel, tag("Time", clockTime(at)), place)
}

// SnapshotsUploaded tells that the pictures of a session are where they were to go
// [GB28181-2022 A.2.5.7].
func (d *Device) SnapshotsUploaded(ctx context.Context, channel, session string, files ...string) (code int, err error) {
	return d.telling(ctx, "UploadSnapShotFinished", channel, snapshots(session, files)...)
}

// snapshots are the fields of that; without files there is no list.
func snapshots(session string, files []string) []string {
	fields := []string{tag("SessionID", session)}
	if len(files) == 0 {
		return fields
	}
	ids := make([]string, len(files))
	for i, f := range files {
		ids[i] = tag("SnapShotFileID", f)
	}
	return append(fields, group("SnapShotList", ids...))
}

// Upgraded tells how an upgrade ended: well without a reason, else 01 download timeout, 02
// broken package, 03 system fault or 99 other [GB28181-2022 A.2.5.9].
func (d *Device) Upgraded(ctx context.Context, session, firmware, reason string) (code int, err error) {
	return d.telling(ctx, "DeviceUpgradeResult", "", upgradeResult(session, firmware, reason)...)
}

// upgradeResult are the fields of that.
func upgradeResult(session, firmware, reason string) []string {
	result := "OK"
	if reason != "" {
		result = "ERROR"
	}
	return []string{tag("SessionID", session), tag("UpgradeResult", result), tag("Firmware", firmware), tag("UpgradeFailedReason", reason)}
}

// broadcast answers the platform's wish to be heard: OK where the target is the device or one
// of its channels. The call that would follow has media, which this device has not.
func (d *Device) broadcast(r *Request) {
	target, result := r.Element("TargetID"), "OK"
	if !d.knows(target) || d.refuses("Broadcast") {
		result = "ERROR"
	}
	r.DeviceID = target
	d.respond(r, tag("Result", result))
}
