package mapping

// AdviceFor tells what to do about a SIP code with which a device has answered.
func AdviceFor(code int) string {
	switch code {
	case 400:
		return "it could not read the request, or does not know it: try devices.encoding, and what its edition of the standard has"
	case 403:
		return "it does not take requests from this platform: check the server ID and the domain that are set on it"
	case 404:
		return "it does not know the channel: ask for its catalog anew"
	case 405, 415, 489, 501:
		return "it does not have this function"
	case 480, 486, 503:
		return "it is busy: try again later"
	}
	return "look for the code in RFC 3261 section 21"
}
