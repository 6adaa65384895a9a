#!/bin/sh
# What a machine does from power to kubelet. The first process of the machine's own PID, mount, UTS
# and network namespaces: when it is killed, everything that it started is gone, and every mount.
#
# firmware.sh NAME BINARIES DISK      DISK becomes /var; see hardware.py for what is on it.
set -eu
name=$1 binaries=$2 disk=$3

hostname "$name"
mount -t tmpfs tmpfs /run
mkdir /run/bin /run/sysctl
mount --bind "$binaries" /run/bin
mount --bind "$disk" /var
mount --make-rshared /

# A kubelet tunes the kernel that it runs on. Here it is somebody else's: give it files to write to.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    knob=/proc/sys/${setting%=*} copy=/run/sysctl/$(basename "${setting%=*}")
    echo "${setting#*=}" >"$copy"
    mount --bind "$copy" "$knob"
done

containerd --config /var/etc/containerd.toml >>/var/log/containerd.log 2>&1 &
until ctr version >/dev/null 2>&1; do sleep 0.05; done
for image in /var/images/*.tar; do
    [ -e "$image" ] || continue
    ctr --namespace k8s.io images import "$image"
    rm "$image"
done

# What a service proxy would do, for the one Service that pods need to find the API server.
# shellcheck disable=SC2046  # host and port
busybox nc -ll -p 443 -e /bin/busybox nc $(cat /var/etc/api-server) &

# shellcheck disable=SC2046  # one flag a line, without blanks
/run/bin/kubelet $(cat /var/etc/kubelet.flags) >>/var/log/kubelet.log 2>&1 &
while :; do wait; sleep 1; done  # the first process also buries whoever is left without parents
