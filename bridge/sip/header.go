package sip

import "strings"

// headerID is a header that the scan looks at.
type headerID uint8

const (
	hOther headerID = iota
	hVia
	hFrom
	hTo
	hCallID
	hCSeq
	hContact
	hExpires
	hAuthorization
	hUserAgent
	hContentType
	hContentLength
	hEvent
	hSubscriptionState
	hExtension // X-…
	hGBVersion // of these X-GB-Ver
)

// headerOf knows a header by its name, long or compact [RFC3261 7.3.3, 20], in any case.
func headerOf(name []byte) headerID {
	if len(name) > 2 && lower(name[0]) == 'x' && name[1] == '-' {
		return max(hExtension, whenName(name, "x-gb-ver", hGBVersion))
	}
	switch len(name) {
	case 1:
		return compactOf(name[0])
	case 2:
		return whenName(name, "to", hTo)
	case 3:
		return whenName(name, "via", hVia)
	case 4:
		return max(whenName(name, "from", hFrom), whenName(name, "cseq", hCSeq))
	case 5:
		return whenName(name, "event", hEvent)
	case 7:
		return max(whenName(name, "call-id", hCallID), whenName(name, "contact", hContact), whenName(name, "expires", hExpires))
	case 10:
		return whenName(name, "user-agent", hUserAgent)
	case 12:
		return whenName(name, "content-type", hContentType)
	case 13:
		return whenName(name, "authorization", hAuthorization)
	case 14:
		return whenName(name, "content-length", hContentLength)
	case 18:
		return whenName(name, "subscription-state", hSubscriptionState)
	}
	return hOther
}

func compactOf(c byte) headerID {
	switch lower(c) {
	case 'v':
		return hVia
	case 'f':
		return hFrom
	case 't':
		return hTo
	case 'i':
		return hCallID
	case 'm':
		return hContact
	case 'c':
		return hContentType
	case 'l':
		return hContentLength
	case 'o':
		return hEvent
	}
	return hOther
}

func whenName(name []byte, want string, id headerID) headerID {
	if equalFold(name, want) {
		return id
	}
	return hOther
}

// known are the methods that have a name of their own in metrics, and their strings.
var known = [...]string{
	"MESSAGE", "REGISTER", "NOTIFY", "OPTIONS", "INVITE", "ACK", "BYE", "CANCEL", "INFO", "SUBSCRIBE",
	"PUBLISH", "UPDATE", "PRACK", "REFER",
}

// methodIndex returns the place of method in known, or len(known).
func methodIndex(method string) int {
	for i, k := range known {
		if k == method {
			return i
		}
	}
	return len(known)
}

// intern returns a method in upper case, without an allocation for a known one.
func intern(b []byte) string {
	for _, k := range known {
		if string(b) == k || equalFold(b, k) {
			return k
		}
	}
	return strings.ToUpper(string(b))
}
