"""Daemons over disks of our own making: an image, qemu-storage-daemon's FUSE export of it, a loop device,
ext4. Everything is made below a directory of the test and taken away by close(). Needs root.
"""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "proc"))
from support import MIB, Skip, need, run_program, wait_for  # noqa: E402

NODES = ("node-1", "node-2", "node-3")


def run(*words):
    return run_program(words, check=True)


def make_image(path, size_mib, journal=True):
    with open(path, "wb") as file:
        file.truncate(size_mib * MIB)
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", "-E", "lazy_itable_init=0",
        *(["-J", "size=4"] if journal else ["-O", "^has_journal"]), path)


def detach(loop, image):
    """The kernel lets a loop device go when nobody looks at it any more."""
    run_program(["losetup", "--detach", loop])
    wait_for(lambda: not run_program(["losetup", "--associated", image]).out.strip(), 60,
             f"{loop} has let {image} go")


class Mounted:
    """An image (or a FUSE export of one) mounted through a loop device. Without direct I/O, so that one
    request is under way at a time: QEMU before 10.1 mixes up the data of concurrent ones."""

    def __init__(self, image, where):
        self.image = image
        self.where = Path(where)
        self.where.mkdir(parents=True, exist_ok=True)
        self.loop = run("losetup", "--find", "--show", image).out.strip()
        try:
            run("mount", self.loop, self.where)
        except BaseException:
            detach(self.loop, image)
            raise
        lost = self.where / "lost+found"
        if lost.is_dir():
            lost.rmdir()

    def close(self):
        # A daemon that was killed may hold its files until its last request has landed.
        wait_for(lambda: run_program(["umount", self.where]).code == 0, 60, f"{self.where} is free")
        detach(self.loop, self.image)


class Export:
    """A FUSE export of `image` by qemu-storage-daemon; `chain` names the nodes between."""

    def __init__(self, directory, image, chain, node):
        self.path = Path(directory) / "export"
        self.path.touch()
        pid_file = Path(directory) / "storage.pid"
        words = ["qemu-storage-daemon", "--blockdev",
                 f"driver=file,node-name=image,filename={image},cache.direct=off"]
        for blockdev in chain:
            words += ["--blockdev", blockdev]
        words += ["--export", f"type=fuse,id=export,node-name={node},mountpoint={self.path},"
                  "writable=on", "--pidfile", str(pid_file)]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        wait_for(lambda: pid_file.exists() and self.path.stat().st_size > 0, 20,
                 f"the FUSE export of {image}")

    def close(self):
        self.process.terminate()
        self.process.wait(30)


def need_machine():
    need("qemu-storage-daemon", "losetup", "mkfs.ext4", "mount")
    if os.geteuid() != 0:
        raise Skip("mounting needs root")
    if not os.path.exists("/dev/fuse") or not os.path.exists("/dev/loop-control"):
        raise Skip("this kernel offers no FUSE or no loop devices here")


def pools(cluster):
    return [cluster.dir / "pools" / name for name in NODES]


def prepare(cluster, images, image_mib, volume_mib, journal=True):
    """A volume `v` on three new file systems, its daemons stopped cleanly."""
    mounts = []
    try:
        for image, pool in zip(images, pools(cluster)):
            make_image(image, image_mib, journal)
            mounts.append(Mounted(image, pool))
        cluster.up()
        cluster.create("v", f"{volume_mib}MiB", 3)
        cluster.wait_healthy("v")
        cluster.cli("cluster", "down", timeout=120)
    finally:
        for mount in mounts:
            mount.close()
