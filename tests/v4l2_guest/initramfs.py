"""Writes the first file system of the virtual machine: busybox, the modules that are needed, and what runs first.

initramfs.py ROOT OUT REPOSITORY: ROOT has an unpacked kernel and busybox.
"""

import re
import sys
from pathlib import Path

MODULES = ("virtio_pci", "9pnet_virtio", "9p", "vivid")
# A camera of the kind of a webcam, with one video device, /dev/video0.
VIVID = "n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0"

INIT = """#!/bin/busybox sh
for folder in proc sys dev; do /bin/busybox mkdir -p /$folder; done
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
{loaded}
/bin/busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,cache=loose,ro host /host
for folder in proc sys dev; do /bin/busybox mount --move /$folder /host/$folder; done
/bin/busybox mount -t tmpfs run /host/run
/bin/busybox mkdir /host/run/tmp
cd /host{repository}
/bin/busybox env -i PATH=/usr/bin:/bin HOME=/run TMPDIR=/run/tmp LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 \\
    /bin/busybox chroot /host /bin/sh -c 'cd "$0" && .venv/bin/python -m pytest -q -p no:cacheprovider \\
    tests/v4l2_guest/with_vivid.py; echo "tests end with status $?"' {repository}
/bin/busybox poweroff -f
"""


def in_order(folder: Path, names: tuple[str, ...]) -> list[Path]:
    """The files of modules, each after those that it depends on."""
    files = {path.stem.replace("-", "_"): path for path in folder.rglob("*.ko")}
    ordered: list[Path] = []

    def add(name: str) -> None:
        path = files.get(name.replace("-", "_"))
        if path is None or path in ordered:  # None: it is part of the kernel
            return
        (needed,) = re.findall(rb"\0?depends=([^\0]*)\0", path.read_bytes())[:1]
        for other in filter(None, needed.decode().split(",")):
            add(other)
        ordered.append(path)

    for name in names:
        add(name)
    return ordered


def cpio(files: dict[str, tuple[int, bytes]]) -> bytes:
    """The archive, in the format newc, of files by name with their modes and contents."""
    archive = bytearray()
    for number, (name, (mode, content)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], start=1):
        encoded = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        archive += b"070701" + "".join(f"{field:08x}" for field in fields).encode() + encoded
        archive += bytes(-len(archive) % 4) + content
        archive += bytes(-len(archive) % 4)
    return bytes(archive)


if __name__ == "__main__":
    root, out, repository = sys.argv[1:]
    modules = in_order(Path(root), MODULES)
    options = {"vivid": VIVID}
    loaded = "\n".join(f"/bin/busybox insmod /{path.name} {options.get(path.stem, '')}" for path in modules)
    executable, folder = 0o100755, 0o040755
    files = dict.fromkeys(("bin", "host"), (folder, b""))
    files["bin/busybox"] = (executable, (Path(root) / "bin" / "busybox").read_bytes())
    files["init"] = (executable, INIT.format(loaded=loaded, repository=repository).encode())
    files |= {path.name: (0o100644, path.read_bytes()) for path in modules}
    Path(out).write_bytes(cpio(files))
