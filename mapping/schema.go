package mapping

// What the standard's elements are, by their tag. A tag that stands here is known; what is
// not is kept under its own tag in `extra`.

// fieldKind says how the text of an element becomes JSON.
type fieldKind uint8

const (
	textual fieldKind = iota
	whole             // a whole number
	real              // a number
	onoff             // 0/1, ON/OFF, true/false
	moment            // a time: Unix ms, or its text under <name>_text
	secret            // never shown
)

// knownField is an element of the standard.
type knownField struct {
	name string // in JSON; "" for the tag in lower_snake_case
	kind fieldKind
}

// fields lists the known elements by tag in lower case [GB28181-2022 A.2].
var fields = map[string]knownField{
	// common
	"deviceid": {"device_id", textual}, "sumnum": {"sum_num", whole}, "result": {}, "reason": {}, "name": {}, "errorcode": {"error_code", textual},
	"targetid": {"device_id", textual}, "sourceid": {"source_id", textual}, "sessionid": {"session_id", textual},
	// Catalog
	"manufacturer": {}, "model": {}, "owner": {}, "civilcode": {"civil_code", textual}, "block": {}, "address": {},
	"parental": {"", onoff}, "parentid": {"parent_id", textual}, "safetyway": {"safety_way", whole},
	"registerway": {"register_way", whole}, "certnum": {"cert_num", textual}, "certifiable": {"", onoff},
	"errcode": {"err_code", whole}, "endtime": {"end_time", moment}, "securitylevelcode": {"security_level_code", textual},
	"secrecy": {"", onoff}, "ipaddress": {"ip_address", textual}, "port": {"", whole}, "password": {"", secret},
	"status": {}, "event": {}, "longitude": {"", real}, "latitude": {"", real}, "businessgroupid": {"business_group_id", textual},
	"ptztype": {"ptz_type", whole}, "positiontype": {"position_type", whole}, "usetype": {"use_type", whole},
	"photoelectricimagingtype": {"photoelectric_imaging_type", textual}, "capturepositiontype": {"capture_position_type", textual},
	"roomtype": {"room_type", whole}, "supplylighttype": {"supply_light_type", whole}, "directiontype": {"direction_type", whole},
	"resolution": {}, "streamnumberlist": {"stream_number_list", textual}, "downloadspeed": {"download_speed", textual},
	"svcspacesupportmode": {"svc_space_support_mode", whole}, "svctimesupportmode": {"svc_time_support_mode", whole},
	"ssvcratiosupportlist": {"ssvc_ratio_support_list", textual}, "mobiledevicetype": {"mobile_device_type", whole},
	"horizontalfieldangle": {"horizontal_field_angle", real}, "verticalfieldangle": {"vertical_field_angle", real},
	"maxviewdistance": {"max_view_distance", real}, "grassrootscode": {"grassroots_code", textual}, "pointtype": {"point_type", whole},
	"pointcommonname": {"point_common_name", textual}, "mac": {}, "functiontype": {"function_type", textual},
	"encodetype": {"encode_type", textual}, "installtime": {"install_time", moment}, "managementunit": {"management_unit", textual},
	"contactinfo": {"contact_info", textual}, "recordsavedays": {"record_save_days", whole},
	"industrialclassification": {"industrial_classification", textual},
	// DeviceInfo, DeviceStatus, Keepalive
	"devicename": {"device_name", textual}, "firmware": {}, "channel": {"", whole}, "online": {}, "encode": {"", onoff},
	"record": {"", onoff}, "devicetime": {"device_time", moment}, "dutystatus": {"duty_status", textual},
	// Alarm
	"alarmpriority": {"alarm_priority", whole}, "alarmmethod": {"alarm_method", whole}, "alarmtime": {"alarm_time", moment},
	"alarmdescription": {"alarm_description", textual}, "alarmtype": {"alarm_type", whole}, "eventtype": {"event_type", whole},
	// MediaStatus, MobilePosition, upgrade, upload
	"notifytype": {"notify_type", whole}, "time": {"", moment}, "capturetime": {"capture_time", moment}, "speed": {"", real},
	"direction": {"", real}, "altitude": {"", real}, "height": {"", real}, "upgraderesult": {"upgrade_result", textual},
	"upgradefailedreason": {"upgrade_failed_reason", whole},
	// RecordInfo
	"filepath": {"file_path", textual}, "starttime": {"start_time", moment}, "type": {}, "recorderid": {"recorder_id", textual},
	"filesize": {"file_size", whole}, "recordlocation": {"record_location", textual}, "streamnumber": {"stream_number", whole},
	// presets, home position, tracks, PTZ position, SD card
	"presetid": {"preset_id", whole}, "presetname": {"preset_name", textual}, "enabled": {"", onoff}, "resettime": {"reset_time", whole},
	"presetindex": {"preset_index", whole}, "homeposition": {"home_position", textual}, "number": {"", whole}, "staytime": {"stay_time", whole},
	"pan": {"", real}, "tilt": {"", real}, "zoom": {"", real}, "id": {"", whole}, "hddname": {"hdd_name", textual},
	"formatprogress": {"format_progress", whole}, "capacity": {"", whole}, "freespace": {"free_space", whole},
	// configuration
	"basicparam": {"basic", textual}, "expiration": {"", whole}, "heartbeatinterval": {"heart_beat_interval", whole},
	"heartbeatcount": {"heart_beat_count", whole}, "videoparamopt": {"video_opt", textual}, "videoparamattribute": {"video", textual},
	"videoformat": {"video_format", whole}, "framerate": {"frame_rate", whole}, "bitratetype": {"bit_rate_type", whole},
	"videobitrate": {"video_bit_rate", whole}, "videorecordplan": {"record_plan", textual}, "recordenable": {"record_enable", onoff},
	"recordschedulesumnum": {"record_schedule_sum_num", whole}, "recordschedule": {"record_schedules", textual},
	"weekdaynum": {"week_day_num", whole}, "timesegmentsumnum": {"time_segment_sum_num", whole}, "timesegment": {"time_segments", textual},
	"starthour": {"start_hour", whole}, "startmin": {"start_min", whole}, "startsec": {"start_sec", whole},
	"stophour": {"stop_hour", whole}, "stopmin": {"stop_min", whole}, "stopsec": {"stop_sec", whole},
	"videoalarmrecord": {"alarm_record", textual}, "recordtime": {"record_time", whole}, "prerecordtime": {"pre_record_time", whole},
	"picturemask": {"picture_mask", textual}, "on": {"", onoff}, "seq": {"", whole}, "point": {}, "framemirror": {"mirror", whole},
	"alarmreport": {"alarm_report", textual}, "motiondetection": {"motion_detection", onoff}, "fielddetection": {"field_detection", onoff},
	"osdconfig": {"osd", textual}, "length": {"", whole}, "width": {"", whole}, "timex": {"time_x", whole}, "timey": {"time_y", whole},
	"timeenable": {"time_enable", onoff}, "timetype": {"time_type", whole}, "textenable": {"text_enable", onoff}, "text": {},
	"x": {"", whole}, "y": {"", whole}, "snapshotconfig": {"snapshot", textual}, "snapshot": {"snapshot", textual},
	"roiparam": {"roi", textual}, "roiflag": {"roi_flag", onoff}, "roinumber": {"roi_number", whole}, "roiseq": {"roi_seq", whole},
	"topleft": {"top_left", whole}, "bottomright": {"bottom_right", whole}, "roiqp": {"roi_qp", whole},
	"svcparam": {"svc", textual}, "svcspacedomainmode": {"svc_space_domain_mode", whole}, "svctimedomainmode": {"svc_time_domain_mode", whole},
	"ssvcratiovalue": {"ssvc_ratio_value", textual}, "svcstmmode": {"svc_stm_mode", whole},
	"surveillanceparam": {"surveillance", textual}, "timeflag": {"time_flag", onoff}, "osdflag": {"osd_flag", onoff},
	"aiflag": {"ai_flag", onoff}, "gisflag": {"gis_flag", onoff}, "eventflag": {"event_flag", onoff}, "alertflag": {"alert_flag", onoff},
	"timeshowflag": {"time_show_flag", onoff}, "osdshowflag": {"osd_show_flag", onoff}, "aishowflag": {"ai_show_flag", onoff},
	"gisshowflag": {"gis_show_flag", onoff}, "eventshowflag": {"event_show_flag", onoff}, "alershowtflag": {"alert_show_flag", onoff},
	"audioparam": {"audio", textual}, "audiorecognitionflag": {"audio_recognition_flag", onoff},
	"encryptparam": {"encrypt", textual}, "encryptionflag": {"encryption_flag", onoff}, "authenticationflag": {"authentication_flag", onoff},
	"svacencodeconfig": {"svac_encode", textual}, "svacdecodeconfig": {"svac_decode", textual},
	"snapnum": {"snap_num", whole}, "interval": {"", whole}, "uploadurl": {"upload_url", textual},
}

// lists names the elements that hold a list, by tag in lower case.
var lists = map[string]string{
	"devicelist": "channels", "presetlist": "presets", "recordlist": "records", "sdcardstatusinfo": "cards",
	"cruisetracklist": "cruise_tracks", "cruisepointlist": "cruise_points", "snapshotlist": "snap_shot_file_ids",
	"alarmstatus": "alarm_status", "regionlist": "regions", "videoparamattribute": "video",
}

// raised are the elements whose children belong to the level above.
var raised = map[string]bool{"info": true, "alarmtypeparam": true}

// repeated are the elements of which there may be several side by side: a list without an
// element around it.
var repeated = map[string]bool{"recordschedule": true, "timesegment": true, "item": true}

// codeNames gives codes their word, by JSON name.
var codeNames = map[string]map[int]string{
	"alarm_method": {1: "phone", 2: "device", 3: "sms", 4: "gps", 5: "video", 6: "device_fault", 7: "other"},
	"ptz_type": {1: "dome", 2: "half_dome", 3: "fixed", 4: "remote_bullet", 5: "remote_half_dome", 6: "panorama",
		7: "split"},
	"room_type":         {1: "outdoor", 2: "indoor"},
	"supply_light_type": {1: "none", 2: "infrared", 3: "white", 4: "laser", 9: "other"},
	"direction_type": {1: "east", 2: "west", 3: "south", 4: "north", 5: "southeast", 6: "northeast", 7: "southwest",
		8: "northwest"},
	"register_way":          {1: "rfc3261", 2: "password", 3: "certificate", 4: "certificate_one_way"},
	"upgrade_failed_reason": {1: "download_timeout", 2: "broken_package", 3: "system_fault", 99: "other"},
	"notify_type":           {121: "file_finished"},
	"mobile_device_type":    {1: "robot", 2: "body_recorder", 3: "mobile", 4: "vehicle", 5: "drone", 9: "other"},
}

// alarmTypeNames gives alarm types their word, by method [GB28181-2022 A.2.5.3].
var alarmTypeNames = map[int]map[int]string{
	2: {1: "video_loss", 2: "tamper", 3: "disk_full", 4: "high_temperature", 5: "low_temperature"},
	5: {1: "manual", 2: "motion", 3: "left_object", 4: "removed_object", 5: "tripwire", 6: "intrusion",
		7: "wrong_direction", 8: "loitering", 9: "flow_count", 10: "density", 11: "video_abnormal", 12: "fast_motion",
		13: "covered"},
	6: {1: "disk_fault", 2: "fan_fault"},
}

// eventTypeNames gives the event of an intrusion its word.
var eventTypeNames = map[int]string{1: "enter", 2: "leave"}
