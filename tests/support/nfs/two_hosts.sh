#!/bin/bash
# The first process of the guest (see guest.py): serves a disk in memory over NFS 4.2, mounts it twice, runs a command.
# Each mount has a network namespace and a host name of its own, as if it were on another host: the kernel's two clients
# share no cache, no connection and no locks. The command finds the folders in ATLAS_TEST_HOSTS=/mnt/first:/mnt/second.
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
step() { "$@" || { echo "failed: $*"; exec busybox poweroff -f; }; }
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/shm
for folder in /dev/shm /mnt /tmp /run /var/lib/nfs; do step mount -t tmpfs -o size=90% tmpfs "$folder"; done
ln -sfn /proc/self/fd /dev/fd
mkdir -p /tmp/modules/lib /mnt/served /mnt/first /mnt/second /run/netns /var/lib/nfs/v4recovery /var/lib/nfs/rpc_pipefs
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
ln -s "$GUEST/usr/lib/uml/modules" /tmp/modules/lib/modules
for module in loop nfsd nfsv4 veth; do step modprobe -d /tmp/modules "$module"; done
truncate -s 1G /mnt/disk
step mkfs.ext4 -q /mnt/disk
step mount -o loop /mnt/disk /mnt/served
step mount -t nfsd nfsd /proc/fs/nfsd
echo 1 > /proc/sys/vm/overcommit_memory   # Python asks for as much memory as a file may have, and uses little
echo 10 > /proc/fs/nfsd/nfsv4leasetime   # seconds for which a host that has fallen silent keeps its locks; 90 by default
echo 10 > /proc/fs/nfsd/nfsv4gracetime
ip link set lo up
hostname server
step exportfs -o rw,no_root_squash,no_subtree_check,fsid=0 '*:/mnt/served'
step rpc.mountd -N 2 -N 3
step rpc.nfsd -N 3 -V 4.2 8
number=0
for host in first second; do
    number=$((number + 1))
    step ip netns add "$host"
    step ip link add "to-$host" type veth peer name eth0 netns "$host"
    step ip addr add "10.0.$number.1/24" dev "to-$host"
    step ip link set "to-$host" up
    step nsenter --net="/run/netns/$host" ip addr add "10.0.$number.2/24" dev eth0
    step nsenter --net="/run/netns/$host" ip link set eth0 up
    step nsenter --net="/run/netns/$host" unshare --uts sh -c \
        "hostname $host && mount -t nfs4 -o vers=4.2,hard,proto=tcp 10.0.$number.1:/ /mnt/$host"
done
cd "$PROJECT"
ATLAS_TEST_HOSTS=/mnt/first:/mnt/second HOME=/tmp PYTHONDONTWRITEBYTECODE=1 bash "$COMMAND"
echo "the command ended with $?"
exec busybox poweroff -f
