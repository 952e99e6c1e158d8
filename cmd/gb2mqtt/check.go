package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gb2mqtt/gb2mqtt/configs"
)

// newCheckCommand makes `gb2mqtt check`: all that is wrong with the configuration, or what
// it comes to.
func newCheckCommand(global *globalFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and print what it comes to, secrets masked",
		Args:  between(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := global.load()
			if err != nil {
				return err
			}
			text, err := configs.Effective(c)
			if err != nil {
				return fmt.Errorf("print the effective configuration: %w", err)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}
