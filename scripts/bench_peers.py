"""Other block stores from Debian, set up so that the comparison is fair to them: durable on ack, on the
same disk, files written before the first measured request, logging off, Ceph with tcmalloc.

Each is an object with up(), target() (words for fio), pids() (its servers) and close(). Processes are
ended by the pid of the child that was started. Errors: SystemExit with what was missing.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path


def run(words, check=True, timeout=300, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False,
                          timeout=timeout, stdin=subprocess.DEVNULL, **more)
    if check and done.returncode != 0:
        raise SystemExit(f"`{' '.join(map(str, words))}` ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def library(name):
    found = sorted(Path("/usr/lib").glob(f"*/{name}"))
    return str(found[0]) if found else None


def need(packages):
    """{program or shared library: Debian package}: installs what is missing, as root."""
    missing = sorted({package for program, package in packages.items()
                      if not shutil.which(program) and not library(program)})
    if not missing:
        return
    if os.geteuid() != 0:
        raise SystemExit(f"the peers need these packages: {' '.join(missing)}")
    print(f"  installing {' '.join(missing)}", file=sys.stderr)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    run(["apt-get", "-y", "-q", "install", "--no-install-recommends", *missing], timeout=900,
        env=environment)


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds} s: {what}")
        time.sleep(0.2)


def written_file(path, size):
    """Every block allocated and written: no file system work in the measured path."""
    run(["fio", "--name=fill", f"--filename={path}", f"--size={size}", "--rw=write", "--bs=1M",
         "--direct=1", "--ioengine=psync", "--end_fsync=1"])


class Server:
    def __init__(self):
        self.children = []

    def start(self, words, log, **more):
        with open(log, "ab") as output:
            child = subprocess.Popen([str(word) for word in words], stdout=output, stderr=output,
                                     stdin=subprocess.DEVNULL, start_new_session=True, **more)
        self.children.append(child)
        return child

    def close(self):
        for child in reversed(self.children):
            child.terminate()
        for child in reversed(self.children):
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


class QemuNbd(Server):
    """One copy, flushed before each ack: what a single disk behind NBD can do."""

    name = "qemu-nbd, 1 copy"

    def __init__(self, base, size):
        super().__init__()
        self.where, self.size = base, size
        self.socket = base / "qemu.sock"

    def up(self):
        need({"qemu-nbd": "qemu-utils", "fio": "fio"})
        file = self.where / "qemu.raw"
        written_file(file, self.size)
        self.start(["qemu-nbd", "-t", "-e", "8", "-f", "raw", "--cache=directsync", "--aio=io_uring",
                    "-k", self.socket, file], self.where / "qemu.log")
        wait_for(self.socket.exists, 10, "qemu-nbd listens")

    def pids(self):
        return [child.pid for child in self.children]

    def target(self):
        return ["--ioengine=nbd", f"--uri=nbd+unix:///?socket={self.socket}"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


TCMALLOC = "libtcmalloc.so.4"
SUBSYSTEMS = """asok auth bdev bluefs bluestore buffer client context crush filer finisher heartbeatmap
journal journaler kstore lockdep memdb mgr mgrc mon monc ms objclass objectcacher objecter objectstore
optracker osd paxos perfcounter rados rbd rocksdb throttle timer tp""".split()


class Ceph(Server):
    """Three OSDs, three copies, an ack when all have it on disk."""

    name = "ceph, 3 copies"
    osds = 3
    osd_bytes = 6 << 30

    def __init__(self, base, size):
        super().__init__()
        self.where, self.size = base, size
        self.dir = base / "ceph"
        self.osd_children = []

    def pids(self):
        return [child.pid for child in self.osd_children]

    def target(self):
        return ["--ioengine=rbd", "--clientname=admin", "--pool=rbd", "--rbdname=image"]

    def write_config(self):
        msgr2, msgr1 = free_port(), free_port()
        self.monitor = f"[v2:127.0.0.1:{msgr2},v1:127.0.0.1:{msgr1}]"
        settings = {
            "fsid": uuid.uuid4(), "mon host": self.monitor, "public addr": "127.0.0.1",
            "public network": "127.0.0.0/8", "cluster addr": "127.0.0.1",
            "auth cluster required": "none", "auth service required": "none",
            "auth client required": "none", "osd pool default size": self.osds,
            "osd pool default min size": 2, "osd pool default pg autoscale mode": "off",
            "osd crush chooseleaf type": 0, "mon data": self.dir / "mon.a",
            "mgr data": self.dir / "mgr.x", "osd data": f"{self.dir}/osd.$id",
            "run dir": self.dir / "run", "admin socket": f"{self.dir}/run/$name.$pid.asok",
            "log file": f"{self.dir}/log/$name.log", "log to stderr": "false",
            "osd objectstore": "bluestore", "bluestore block create": "true",
            "bluestore block size": self.osd_bytes, "bluestore debug enforce settings": "ssd",
            "osd op num shards": 2, "osd op num threads per shard": 1, "ms async op threads": 1,
            "osd memory target": 2 << 30, "osd scrub during recovery": "false", "osd max scrubs": 0,
            "mon cluster log to stderr": "false", "rbd cache": "false",
            **{f"debug {name}": "0/0" for name in SUBSYSTEMS},
        }
        self.fsid = settings["fsid"]
        text = "[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
        (self.dir / "ceph.conf").write_text(text)
        os.environ["CEPH_CONF"] = str(self.dir / "ceph.conf")

    def up(self):
        need({"ceph-osd": "ceph-osd", "ceph-mon": "ceph-mon", "ceph-mgr": "ceph-mgr",
              "ceph": "ceph-common", "rbd": "ceph-common", "monmaptool": "ceph-common",
              TCMALLOC: "libgoogle-perftools4"})
        for name in ("log", "run", "mon.a", "mgr.x", *(f"osd.{i}" for i in range(self.osds))):
            (self.dir / name).mkdir(parents=True)
        self.write_config()
        conf = ["-c", self.dir / "ceph.conf"]
        run(["monmaptool", "--create", "--addv", "a", self.monitor, "--fsid", self.fsid, "--clobber",
             self.dir / "monmap"])
        run(["ceph-mon", *conf, "--mkfs", "-i", "a", "--monmap", self.dir / "monmap"])
        self.start(["ceph-mon", *conf, "-i", "a", "-f", "--public-addrv", self.monitor],
                   self.dir / "log" / "mon.out")
        run(["ceph", "config", "set", "mon", "auth_allow_insecure_global_id_reclaim", "false"])
        self.start(["ceph-mgr", *conf, "-i", "x", "-f"], self.dir / "log" / "mgr.out")
        for number in range(self.osds):
            self.start_osd(number, conf)
        wait_for(lambda: '"num_up_osds":3' in run(["ceph", "osd", "stat", "-f", "json"]), 90,
                 "three OSDs are up")
        self.make_image()

    def start_osd(self, number, conf):
        identity = str(uuid.uuid4())
        run(["ceph", "osd", "new", identity])
        block = self.dir / f"osd.{number}" / "block"
        written_file(block, self.osd_bytes)
        run(["ceph-osd", *conf, "-i", number, "--mkfs", "--osd-uuid", identity])
        # Debian's ceph-osd is linked without tcmalloc, with which it is measured everywhere else.
        environment = dict(os.environ, LD_PRELOAD=library(TCMALLOC))
        self.osd_children.append(self.start(["ceph-osd", *conf, "-i", number, "-f"],
                                            self.dir / "log" / f"osd.{number}.out", env=environment))

    def make_image(self):
        run(["ceph", "osd", "pool", "create", "rbd", "32", "32"])
        run(["ceph", "osd", "set", "noscrub"])
        run(["ceph", "osd", "set", "nodeep-scrub"])
        run(["rbd", "pool", "init", "rbd"])
        run(["rbd", "create", "--size", self.size, "rbd/image"])
        wait_for(lambda: "active+clean" in run(["ceph", "pg", "stat"])
                 and "creating" not in run(["ceph", "pg", "stat"]), 90, "all groups are clean")
        run(["fio", "--name=fill", "--rw=write", "--bs=1M", "--iodepth=8", f"--size={self.size}",
             *self.target()], timeout=600)
