package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// slowSubscriber subscribes to everything and then stops reading, with a window as small as
// the system allows; cut off by the broker it comes again. It ends with ctx.
func slowSubscriber(ctx context.Context, at string) error {
	const again = time.Second
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at)
		if err == nil {
			err = stall(ctx, conn.(*net.TCPConn))
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("slow subscriber: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		}
	}
}

// stall subscribes on conn and reads nothing more, until the broker has closed it or ctx
// ends.
func stall(ctx context.Context, conn *net.TCPConn) error {
	defer conn.Close()
	if err := conn.SetReadBuffer(4096); err != nil {
		return err
	}
	hello := packets.NewControlPacket(packets.CONNECT)
	c := hello.Content.(*packets.Connect)
	c.ClientID, c.CleanStart, c.KeepAlive = "load-slow", true, 0 // no keepalive: silence is no reason to cut it off
	want := packets.NewControlPacket(packets.SUBSCRIBE)
	s := want.Content.(*packets.Subscribe)
	s.PacketID = 1
	s.Subscriptions = []packets.SubOptions{{Topic: "#", QoS: 0}, {Topic: "$aws/#", QoS: 0}}
	for _, p := range []*packets.ControlPacket{hello, want} {
		if _, err := p.WriteTo(conn); err != nil {
			return err
		}
		if _, err := packets.ReadPacket(conn); err != nil {
			return err
		}
	}
	// Whether the broker has closed the connection shows by writing: reading would be no stall.
	ping := packets.NewControlPacket(packets.PINGREQ)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
		if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			return nil
		}
		if _, err := ping.WriteTo(io.Writer(conn)); err != nil {
			return nil
		}
	}
}
