"""A database on a network disk is refused before it is touched; a local one never is."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import StorageUnavailable
from app.storage import engine as engine_module
from app.storage.disk import network_disk
from config import Config
from tests.conftest import open_database

# Lines as Linux writes them: id, parent, device, root, mount point, options, optional fields, -, type, source, options.
LOCAL = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,nosuid shared:5 - proc proc rw
"""


def mounts(folder: Path, *lines: str) -> Path:
    path = folder / "mountinfo"
    path.write_text(LOCAL + "".join(f"{line}\n" for line in lines))
    return path


def mounted(point: str, kind: str) -> str:
    return f"90 22 0:55 / {point} rw,relatime shared:9 master:2 - {kind} server:/export rw,vers=4.2"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "ceph"])
def test_a_network_disk_is_told_by_its_kind(tmp_path: Path, kind: str) -> None:
    assert network_disk(Path("/srv/share/kiro/data.db"), mounts(tmp_path, mounted("/srv/share", kind))) == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "zfs", "fuseblk", "fuse.fuse-overlayfs"])
def test_a_local_disk_is_none(tmp_path: Path, kind: str) -> None:
    assert network_disk(Path("/srv/share/kiro/data.db"), mounts(tmp_path, mounted("/srv/share", kind))) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/srv/share/data.db", "nfs4"),
        ("/srv/share", "nfs4"),
        ("/srv/shared/data.db", None),
        ("/srv/data.db", None),
        ("/srv/share/local/data.db", None),
        ("/srv/with space/data.db", "cifs"),
        ("/srv/twice/data.db", None),
    ],
)
def test_the_deepest_and_last_mount_counts(tmp_path: Path, path: str, found: str | None) -> None:
    lines = [
        mounted("/srv/share/local", "ext4"),
        mounted("/srv/share", "nfs4"),
        mounted(r"/srv/with\040space", "cifs"),
        mounted("/srv/twice", "nfs"),
        mounted("/srv/twice", "xfs"),
    ]
    assert network_disk(Path(path), mounts(tmp_path, *lines)) == found


def test_the_disk_of_a_sandbox_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "mountinfo"
    path.write_text("1 0 0:1 / / rw - 9p none rw,trans=fd\n")
    assert network_disk(Path("/srv/data.db"), path) is None


@pytest.mark.parametrize("text", ["", "nonsense\n", "1 2 - nfs\n", "\x00\xff - - -\n"])
def test_what_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mountinfo"
    path.write_text(text)
    assert network_disk(Path("/srv/data.db"), path) is None
    assert network_disk(Path("/srv/data.db"), tmp_path / "elsewhere") is None


def test_a_link_is_followed_to_where_the_file_lies(tmp_path: Path) -> None:
    link = tmp_path / "data.db"
    link.symlink_to("/srv/share/data.db")
    assert network_disk(link, mounts(tmp_path, mounted("/srv/share", "nfs"))) == "nfs"


def test_a_start_on_a_network_disk_is_refused_and_names_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "share"
    path = mounts(tmp_path, mounted(str(folder), "nfs4"))
    monkeypatch.setattr(engine_module, "network_disk", lambda file: network_disk(file, path))
    with pytest.raises(StorageUnavailable, match=r"on a network disk \(nfs4\).*DATABASE_URL") as caught:
        open_database(Config(db_path=folder / "data.db"))
    assert "\n" not in caught.value.message
    assert not folder.exists(), "nothing was made there"
