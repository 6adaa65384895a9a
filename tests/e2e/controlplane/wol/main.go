// Command wol sends a Wake-on-LAN magic packet: wol MAC [ADDRESS:PORT].
package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
)

const everyone = "255.255.255.255:9"

func main() {
	if len(os.Args) < 2 || len(os.Args) > 3 {
		fail(2, fmt.Errorf("usage: wol MAC [ADDRESS:PORT]"))
	}
	mac, err := net.ParseMAC(os.Args[1])
	if err != nil {
		fail(2, err)
	}
	to := everyone
	if len(os.Args) == 3 {
		to = os.Args[2]
	}
	if err := send(mac, to); err != nil {
		fail(1, err)
	}
	fmt.Println("sent a magic packet for", mac, "to", to)
}

func send(mac net.HardwareAddr, to string) error {
	address, err := net.ResolveUDPAddr("udp4", to)
	if err != nil {
		return err
	}
	broadcast := net.ListenConfig{Control: func(_, _ string, socket syscall.RawConn) error {
		return socket.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_BROADCAST, 1)
		})
	}}
	connection, err := broadcast.ListenPacket(context.Background(), "udp4", ":0")
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = connection.WriteTo(magic(mac), address)
	return err
}

func magic(mac net.HardwareAddr) []byte {
	return append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...)
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, "wol:", err)
	os.Exit(code)
}
