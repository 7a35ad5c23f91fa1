"""File systems on which a store is not safe."""

from __future__ import annotations

from pathlib import Path

__all__ = ["network_warning"]

_NETWORK = {
    "9p", "acfs", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "gfs", "gfs2",
    "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2",
    "smb", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "webdav",
    "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.juicefs", "fuse.mfs", "fuse.rclone", "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs",
}  # fmt: skip


def network_warning(path: Path) -> str | None:
    """A warning if a store lies where locks and synchronisation are not to be relied on.

    Args:
        path: The store, which need not be there yet.
    """
    kind = _file_system(path)
    if kind is None or kind not in _NETWORK:
        return None
    return (
        f"the store {str(path)!r} is on a network file system ({kind}), where locks and writes to "
        "disk often do not hold what they promise: two drivers could work on one study at the same "
        "time, and a crash could damage the file; put the store on a local disk with --storage and "
        "copy it when the sweep is done"
    )


def _file_system(path: Path) -> str | None:
    """The type of the file system that holds a path, or None if it cannot be told."""
    import psutil  # only commands that warn pay for it

    try:
        where = path.resolve()
        mounted = [
            (len(mount.parts), position, kind)
            for position, (mount, kind) in enumerate(
                (Path(partition.mountpoint), partition.fstype.lower())
                for partition in psutil.disk_partitions(all=True)
            )
            if where.is_relative_to(mount)
        ]
    except (OSError, RuntimeError, ValueError):
        return None
    return max(mounted)[2] if mounted else None  # of two in one place the later one is seen
