package mapping

// Capabilities is what a command's end shows of its device: `capabilities` of the shadow, by the
// command's name, configurations below `config`. It is nil where nothing is shown: a command that
// the standard leaves unanswered was sent, not done, and an error or a silence may be of the moment.
func Capabilities(c *Command, answer map[string]any, why *Error) map[string]any {
	switch {
	case c.CmdType == "" || c.Name == "raw" || c.Next != "":
		return nil
	case why != nil && why.Code != CodeNotSupported:
		return nil
	case why == nil && c.Answer == AnswerNone:
		return nil
	case len(c.Parts) == 0:
		return map[string]any{c.Name: why == nil}
	}
	configs := make(map[string]any, len(c.Parts))
	for _, part := range c.Parts {
		_, told := answer[part.Name]
		configs[part.Name] = told
	}
	return map[string]any{"config": configs}
}
