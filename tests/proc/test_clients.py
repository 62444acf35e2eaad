"""Clients that are not ours: libnbd, nbdcopy, qemu-img, qemu-io, fio, and a file system in an image."""

import contextlib
import hashlib
import json
import os
import random
import tempfile

from support import MIB, NBD_PYTHON, SEED, Client, Cluster, expect, need, run, run_program

BLOCK = 4096


@contextlib.contextmanager
def served(size="256MiB", nodes=3, replicas=3):
    with Cluster(nodes=nodes) as cluster, tempfile.TemporaryDirectory(dir=cluster.base) as scratch:
        cluster.create("disk", size, replicas)
        cluster.wait_healthy("disk")
        yield cluster, cluster.attach("disk"), scratch


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(MIB):
            digest.update(piece)
    return digest.hexdigest()


def file_system_image(scratch, size_mib):
    """An ext4 image with files of random content; the image's path."""
    need("mke2fs", "e2fsck")
    tree = os.path.join(scratch, "tree")
    os.makedirs(os.path.join(tree, "deep", "er"))
    chance = random.Random(SEED)
    for number in range(40):
        folder = os.path.join(tree, "deep", "er") if number % 2 else tree
        with open(os.path.join(folder, f"file{number}"), "wb") as file:
            file.write(chance.randbytes(chance.randrange(0, 800_000)))
    image = os.path.join(scratch, "fs.img")
    run_program(["mke2fs", "-q", "-t", "ext4", "-d", tree, image, f"{size_mib}M"], check=True)
    return image


def test_nbdcopy_of_a_file_system_image_in_and_out_is_equal_and_clean():
    need("nbdcopy")
    with served() as (cluster, uri, scratch):
        image = file_system_image(scratch, 256)
        run_program(["nbdcopy", "--flush", image, uri], check=True)
        out = os.path.join(scratch, "out.img")
        run_program(["nbdcopy", uri, out], check=True)
        expect(sha256(image) == sha256(out), "the image came back changed")
        run_program(["e2fsck", "-fn", out], check=True)
        # and again after the primary has died
        view = cluster.volume("disk")
        front = view["attachments"][0]["node"]
        other = next(r["node"] for r in view["replicas"] if r["node"] != front)
        cluster.kill(other)
        run_program(["nbdcopy", uri, out], check=True)
        expect(sha256(image) == sha256(out), "the image changed when a replica died")
        cluster.start(other)
        cluster.wait_healthy("disk")


def test_nbdinfo_tells_size_name_and_what_the_device_can_do():
    need("nbdinfo")
    with served() as (_, uri, _scratch):
        info = json.loads(run_program(["nbdinfo", "--json", uri], check=True).out)
        export = info["exports"][0]
        expect(export["export-size"] == 256 * MIB, f"size {export['export-size']}")
        expect(not export["is_read_only"], "read-only")
        for ability in ("can_flush", "can_fua", "can_trim", "can_zero"):
            expect(export[ability], f"{ability} is false")
        expect(export["block_size_minimum"] <= BLOCK, f"minimum {export['block_size_minimum']}")


def test_qemu_io_patterns_zeroes_discards_and_boundaries():
    need("qemu-io")
    steps = [
        "write -P 0x11 0 64k", "read -P 0x11 0 64k",
        "write -P 0x22 4k 4k", "read -P 0x11 0 4k", "read -P 0x22 4k 4k", "read -P 0x11 8k 4k",
        "write -f -P 0x33 1M 1M", "read -P 0x33 1M 1M",
        "write -z 1M 512k", "read -P 0 1M 512k", "read -P 0x33 1536k 512k",
        "discard 1536k 512k", "read -P 0 1536k 512k",
        "write -P 0x44 255M 1M", "read -P 0x44 255M 1M", "flush",
        "write -P 0x55 128k 512", "read -P 0x55 128k 512", "read -P 0 131584 3584",
        "aio_write -P 0x66 2M 256k", "aio_write -P 0x77 3M 256k", "aio_flush",
        "read -P 0x66 2M 256k", "read -P 0x77 3M 256k",
    ]
    with served() as (_, uri, _scratch):
        words = ["qemu-io", "-f", "raw"]
        for step in steps:
            words += ["-c", step]
        result = run_program([*words, uri])
        text = result.out + result.err
        expect(result.code == 0 and "Pattern verification failed" not in text
               and "error" not in text.lower(), text)
        again = run_program(["qemu-io", "-f", "raw", "-c", "read -P 0x44 255M 1M", uri])
        expect(again.code == 0 and "failed" not in again.out + again.err, str(again))


def test_qemu_img_converts_a_qcow2_in_and_out_and_checks_it():
    need("qemu-img")
    with served() as (_, uri, scratch):
        image = file_system_image(scratch, 256)
        qcow = os.path.join(scratch, "in.qcow2")
        run_program(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", image, qcow], check=True)
        run_program(["qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", qcow, uri], check=True)
        compare = run_program(["qemu-img", "compare", "-f", "raw", "-F", "raw", image, uri])
        expect(compare.code == 0, str(compare))
        back = os.path.join(scratch, "out.qcow2")
        run_program(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", uri, back], check=True)
        run_program(["qemu-img", "check", back], check=True)
        run_program(["qemu-img", "compare", qcow, back], check=True)


def fio(uri, scratch, *more):
    log = os.path.join(scratch, "fio.json")
    run_program(["fio", "--name=job", "--ioengine=nbd", f"--uri={uri}", "--output-format=json",
                 f"--output={log}", "--verify_state_save=0", *more], check=True,
                timeout=120)
    with open(log, encoding="utf-8") as file:
        return json.load(file)["jobs"][0]


def test_fio_crc32c_verify_of_random_sizes_with_trims_in_between():
    need("fio")
    with served() as (_, uri, scratch):
        job = fio(uri, scratch, "--size=128M", "--rw=randwrite", "--bsrange=4k-256k",
                  "--bs_unaligned=0", "--iodepth=16", "--verify=crc32c", "--verify_fatal=1",
                  "--do_verify=1", "--fsync=32")
        expect(job["error"] == 0 and job["read"]["total_ios"] > 0, f"fio: {job['error']}")


def test_block_status_tells_holes_from_data():
    with served() as (_, uri, scratch):
        script = ("import nbd,sys\nh=nbd.NBD()\nh.add_meta_context('base:allocation')\n"
                  f"h.connect_uri({uri!r})\n"
                  "h.pwrite(b'x'*65536, 1<<20)\nh.flush()\nfound=[]\n"
                  "def extents(ctx, off, entries, err):\n"
                  "    found.extend(entries)\n    return 0\n"
                  "h.block_status(4<<20, 0, extents)\n"
                  "pos=0; hole_then_data=None\n"
                  "flags=dict()\n"
                  "for length,flag in zip(found[0::2],found[1::2]):\n"
                  "    flags[(pos,pos+length)]=flag; pos+=length\n"
                  "assert pos>0, found\n"
                  "at=lambda p:[f for (a,b),f in flags.items() if a<=p<b]\n"
                  "assert at(1<<20) in ([0],[]), flags\n"
                  "print('ok')\n")
        result = run_program([NBD_PYTHON, "-c", script])
        expect(result.code == 0 and result.out.strip() == "ok", str(result))


EDGE = r"""
import errno, nbd, os, sys
uri, size = sys.argv[1], int(sys.argv[2])
def fails(what, numbers, act):
    try:
        act()
    except nbd.Error as error:
        assert error.errnum in numbers, (what, error.errno, error.string)
        return
    raise SystemExit(what + " was accepted")
h = nbd.NBD()
h.set_strict_mode(0)
h.connect_uri(uri)
assert h.get_size() == size
fails("read beyond the end", [errno.EINVAL], lambda: h.pread(4096, size))
fails("read over the end", [errno.EINVAL], lambda: h.pread(8192, size - 4096))
fails("write over the end", [errno.ENOSPC, errno.EINVAL], lambda: h.pwrite(b"x" * 8192, size - 4096))
fails("trim over the end", [errno.EINVAL, errno.ENOSPC], lambda: h.trim(8192, size - 4096))
fails("zero over the end", [errno.EINVAL, errno.ENOSPC], lambda: h.zero(8192, size - 4096))
fails("an offset near 2^64", [errno.EINVAL, errno.ENOSPC], lambda: h.pwrite(b"x" * 4096, (1 << 63) - 4096))
# the connection lives through all of that
h.pwrite(b"y" * 4096, size - 4096)
assert bytes(h.pread(4096, size - 4096)) == b"y" * 4096
h.shutdown()
unknown = uri.replace("///disk", "///nothing")
bad = nbd.NBD()
fails("an unknown export", [errno.ENOENT, errno.EINVAL, 0], lambda: bad.connect_uri(unknown))
lister = nbd.NBD()
lister.set_opt_mode(True)
lister.connect_uri(uri)
names = []
lister.opt_list(lambda name, description: names.append(name) or 0)
assert names == ["disk"], names
lister.opt_abort()
print("ok")
"""


def test_nbd_edge_cases_get_the_right_error_and_the_connection_lives():
    with served() as (_, uri, _scratch):
        result = run_program([NBD_PYTHON, "-c", EDGE, uri, 256 * MIB])
        expect(result.code == 0 and result.out.strip() == "ok", str(result))


def test_one_read_at_a_time_of_blocks_never_written_waits_for_no_timer():
    with served() as (_, uri, _scratch):
        script = (f"import nbd,time\nh=nbd.NBD()\nh.connect_uri({uri!r})\nt=time.monotonic()\n"
                  "for i in range(200):\n    assert h.pread(4096, i<<20) == bytearray(4096)\n"
                  "took=time.monotonic()-t\nassert took < 5, took\nprint('ok')")
        result = run_program([NBD_PYTHON, "-c", script])
        expect(result.code == 0 and result.out.strip() == "ok", str(result))


def test_a_loss_that_nobody_has_cannot_be_accepted():
    with served() as (cluster, _uri, _scratch):
        words = ["volume", "accept-loss", "disk", "--who", "anna"]
        expect(cluster.cli(*words, check=False).code == 2, "it wants to know why")
        refused = cluster.cli(*words, "--why", "two disks are gone", check=False)
        expect(refused.code == 4 and "nothing is lost" in refused.err, str(refused))


def test_data_outlives_detach_and_attach_elsewhere():
    need("qemu-io")
    with served() as (cluster, uri, _scratch):
        run_program(["qemu-io", "-f", "raw", "-c", "write -P 0x5a 8M 1M", "-c", "flush", uri],
                    check=True)
        first = cluster.volume("disk")["attachments"][0]["node"]
        cluster.cli("detach", "disk")
        other = next(name for name in sorted(cluster.status())
                     if name.startswith("node-") and name != first)
        uri = cluster.attach("disk", other)
        result = run_program(["qemu-io", "-f", "raw", "-c", "read -P 0x5a 8M 1M", uri])
        expect(result.code == 0 and "failed" not in result.out + result.err, str(result))


def test_an_attach_of_what_is_served_makes_a_socket_file_that_is_gone_anew():
    need("qemu-io")
    with served() as (cluster, _uri, _scratch):
        cluster.cli("detach", "disk")
        uri = cluster.attach("disk", "node-1")
        socket = uri.partition("socket=")[2]
        with contextlib.closing(Client(cluster, uri)) as client:
            client.ask("start")
            client.wait_progress(100, 30)
            generation = cluster.volume("disk")["attachments"][0]["generation"]
            for end in ("removed", "replaced by a file", "left as it is"):
                if end != "left as it is":
                    os.unlink(socket)
                if end == "replaced by a file":
                    with open(socket, "w", encoding="utf-8") as file:
                        file.write("not a socket")
                    refused = cluster.cli("attach", "disk", "--frontend", "nbd", "--socket", socket,
                                          "--node", "node-1", check=False)
                    expect(refused.code != 0, "an attach that nobody can connect to was a success")
                    expect(os.path.isfile(socket), "it removed what is not its own")
                    os.unlink(socket)
                expect(cluster.attach("disk", "node-1") == uri, f"another address, {end}")
                after = cluster.volume("disk")["attachments"]
                expect([each["generation"] for each in after] == [generation],
                       f"the attachment that is in use has ended: {after}")
                result = run_program(["qemu-io", "-f", "raw", "-c", "read 8M 1M", uri])
                expect(result.code == 0 and "failed" not in result.out + result.err, str(result))
                client.wait_progress(100, 30)  # on the connection that it had all the time
            client.ask("stop")
            client.ask("check")
        cluster.cli("detach", "disk")
        expect(not os.path.exists(socket), "the socket file is left behind")


if __name__ == "__main__":
    run(globals())
