"""A PostgreSQL server for tests, if one is installed."""

import contextlib
import getpass
import glob
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest


@contextlib.contextmanager
def postgresql(folder):
    """Start a server on a free port of the loopback address and return its URL; it refuses to run
    as root."""
    found = [shutil.which("initdb"), *glob.glob("/usr/lib/postgresql/*/bin/initdb")]
    programs = next((Path(file).parent for file in found if file), None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's package: postgresql)")
    user = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
    if user:
        shutil.chown(folder, "postgres")
        for parent in (folder, *folder.parents):
            if os.stat(parent).st_uid == 0 and str(parent) != "/":
                os.chmod(parent, os.stat(parent).st_mode | 0o011)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, run = folder / "data", dict(check=True, capture_output=True, cwd="/")
    subprocess.run([*user, programs / "initdb", "-D", data, "-U", "tester", "-A", "trust"], **run)
    options = f"-h 127.0.0.1 -p {port} -k {folder}"
    server = [
        *user,
        programs / "pg_ctl",
        "-D",
        data,
        "-w",
        "-t",
        "300",
        "-l",
        folder / "log",
        "-o",
        options,
    ]
    subprocess.run([*server, "start"], **{**run, "capture_output": False})
    try:
        yield f"postgresql://tester@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*server, "-m", "immediate", "stop"], **{**run, "capture_output": False})
