package gb28181

// ControlResponse is the answer to DeviceControl and DeviceConfig [GB28181-2022 A.2.6.2];
// Message.Refused reads it.
type ControlResponse struct {
	Result, Reason string
}

func decodeControlResponse(e *Element) *ControlResponse {
	return &ControlResponse{e.Value("Result"), e.Value("Reason")}
}
