"""Nobody can connect: driver and workers have neither listening nor network sockets."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from helpers import children, read_until, space_mapping, wait_for, workers
from killing import check_gone, start_interpreter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="open sockets are listed in /proc")

_LISTENS = 0x10000  # __SO_ACCEPTCON, in the flags of a Unix socket


def inodes(pid: int) -> set[str]:
    """The open sockets of a process."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(descriptor.readlink())
        except FileNotFoundError:
            continue  # closed in the meantime
        if target.startswith("socket:["):
            found.add(target.removeprefix("socket:[").removesuffix("]"))
    return found


def network_sockets(pid: int) -> set[str]:
    """Its network sockets, listening or not."""
    known = {
        line.split()[9]
        for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6")
        if (table := Path(f"/proc/{pid}/net/{kind}")).exists()
        for line in table.read_text().splitlines()[1:]
    }
    return inodes(pid) & known


def listening_sockets(pid: int) -> set[str]:
    """Its Unix sockets that accept connections."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]]
    return inodes(pid) & {row[6] for row in rows if int(row[3], 16) & _LISTENS}


def test_sockets_are_seen_where_there_are_some(tmp_path):
    with socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX) as unix:
        assert len(network_sockets(os.getpid())) >= 1
        unix.bind(str(tmp_path / "here"))
        assert listening_sockets(os.getpid()) == set()
        unix.listen()
        assert len(listening_sockets(os.getpid())) == 1


@pytest.mark.slow
def test_a_sweep_has_no_network_and_listens_nowhere(tmp_path):
    parameters = {**space_mapping()["parameters"], "epochs": 1000}
    space = space_mapping(parameters=parameters, budget={"trials": 8})
    (tmp_path / "space.yaml").write_text(json.dumps(space))
    with start_interpreter("run", "space.yaml", "--workers", 2, cwd=tmp_path) as driver:
        try:
            read_until(driver.stderr, "2 workers")
            wait_for(lambda: len(workers(driver.pid)) == 2 and has_epochs(tmp_path / "studies.db"))
            (server,) = children(driver.pid)
            for pid in (driver.pid, server, *workers(driver.pid)):
                assert network_sockets(pid) == set()
                assert listening_sockets(pid) == set()
                assert inodes(pid), "they talk through sockets"
            assert driver.poll() is None
        finally:
            driver.kill()
            driver.communicate()
    check_gone(tmp_path)


def has_epochs(database: Path) -> bool:
    """Whether trials are running: the store has an epoch."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        rows = connection.execute("SELECT count(*) FROM trial_intermediate_values")
        return bool(rows.fetchone()[0])
