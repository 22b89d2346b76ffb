#!/bin/bash -e
# Puts lockd into the image, and what sets it up at the first start.
place=/usr/local/lib/lockd-setup
boot="${ROOTFS_DIR}/boot/firmware"

install -m 644 "${LOCKD_DEB}" "${ROOTFS_DIR}/tmp/lockd.deb"
on_chroot <<EOF
apt-get install -y /tmp/lockd.deb
rm /tmp/lockd.deb
EOF

install -D -m 755 files/first_boot.py "${ROOTFS_DIR}${place}/first_boot.py"
install -m 644 files/lockd-setup.service "${ROOTFS_DIR}/etc/systemd/system/lockd-setup.service"
install -D -m 644 files/lockd-setup.yaml "${boot}/lockd-setup.yaml"
# Without a camera and a relay's level it is not to be started; the set-up enables it again.
on_chroot <<EOF
systemctl enable lockd-setup.service
systemctl disable lockd.service
EOF

# MemoryMax= of the units counts only with this; and a journal of so much writes the card no fuller.
if [ -f "${boot}/cmdline.txt" ] && ! grep -q cgroup_enable=memory "${boot}/cmdline.txt"; then
    sed -i '1s/$/ cgroup_enable=memory/' "${boot}/cmdline.txt"
fi
install -D -m 644 files/journal.conf "${ROOTFS_DIR}/etc/systemd/journald.conf.d/lockd.conf"
