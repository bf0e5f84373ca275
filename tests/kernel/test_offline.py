"""What the checked notebook and all that it starts find: no network, and not what Kaggle's image lacks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from monet.kernel import offline

ATTEMPTS = """
import importlib.util, json, socket

def attempt(connect, *words):
    try:
        connect(*words)
        return "done"
    except OSError as error:
        return error.args

with socket.create_server(("127.0.0.1", 0)) as here:
    print(json.dumps({
        "an address": attempt(socket.socket().connect, ("192.0.2.1", 80)),
        "a name": attempt(socket.getaddrinfo, "example.org", 80),
        "this machine": attempt(socket.socket().connect, here.getsockname()),
        "its name": attempt(socket.getaddrinfo, "localhost", 80),
        "found": [name for name in ("hidden", "seen", "added") if importlib.util.find_spec(name)],
    }))
"""


def test_a_process_behind_it_sees_no_network_and_no_hidden_module(tmp_path: Path) -> None:
    front, image, site = (tmp_path / name for name in ("front", "image", "site"))
    for path in (front / "sitecustomize.json", image / "hidden.py", image / "seen.py", site / "added.py"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    shutil.copyfile(offline.__file__, front / "sitecustomize.py")
    (front / "sitecustomize.json").write_text(json.dumps({"modules": ["hidden", "added"], "site": str(site)}))
    paths = os.pathsep.join(map(str, (front, image, site)))
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS], env={"PYTHONPATH": paths}, cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "an address": [101, "Network is unreachable"],
        "a name": [-3, "Temporary failure in name resolution"],
        "this machine": "done",
        "its name": "done",
        "found": ["seen", "added"],
    }
