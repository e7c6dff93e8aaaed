"""Where a file lies: SQLite on a network disk loses locks, and with them tokens and rows.

In: a path and the text of Linux's `/proc/self/mountinfo`. Out: the kind of network disk it lies on, None for a local one. What
the root directory is on is not judged: sandboxes (gVisor) show their own disk as `9p` there, and it is no shared one.
Elsewhere than on Linux nothing is known.
Source: sqlite.org/wal.html ("does not work over a network filesystem"); proc(5) for the fields.
"""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset("nfs nfs4 cifs smb3 smbfs ncpfs afs 9p ceph lustre beegfs glusterfs gfs2 ocfs2 davfs".split())
# Of file systems in user space these are local; sshfs, s3fs, rclone, glusterfs and the like are not.
LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuse.ntfs-3g", "fuse.gocryptfs", "fuse.encfs", "fuse.mergerfs", "fuse.bindfs"})


def network_disk(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind of network disk the file lies on, or will lie on; None for a local one."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    kind = _kind_at(path.resolve(), lines)
    return kind if kind in NETWORK or (kind.startswith("fuse.") and kind not in LOCAL_FUSE) else None


def _kind_at(path: Path, lines: list[str]) -> str:
    """The type of the mount that holds the path: the deepest one, of several at one point the last; "" for the root's."""
    deepest, kind = Path("/"), ""
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_unescaped(fields[4]))
        if point != Path("/") and path.is_relative_to(point) and len(point.parts) >= len(deepest.parts):
            deepest, kind = point, after.split(" ")[0]
    return kind


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
