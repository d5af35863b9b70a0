"""Memory and speed of big inputs, with room for slow machines; measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from io import BytesIO
from pathlib import Path

import pytest

from periscope.feeds import open_feed
from periscope.feeds.formats.suricata import Suricata
from tests.feeds.support import MIB, SAMPLES
from tests.support.patience import PATIENCE

STATUS = Path("/proc/self/status")
MEASURE = """
import re, sys
from pathlib import Path
from periscope.feeds import open_feed
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
before = peak()
with open_feed(sys.argv[1]) as feed:
    count = sum(1 for _ in feed)
print(count, before, peak())
"""


def big_bundle(path: Path, size: int) -> int:
    objects = json.loads((SAMPLES / "stix-sample.json").read_bytes())["objects"]
    indicators, rest = objects[:-2], objects[-2:]
    count = 0
    with path.open("w") as file:
        file.write('{"type": "bundle", "id": "bundle--x", "objects": [')
        while file.tell() < size:
            for found in indicators:
                count += 1
                found["id"] = f"indicator--{uuid.UUID(int=count)}"
                file.write(json.dumps(found) + ",")
        file.write(json.dumps(rest)[1:] + "}")
    return count


@pytest.mark.skipif(not STATUS.exists(), reason="the peak is read from /proc")
def test_a_bundle_of_50_mb_needs_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bundle.json"
    count = big_bundle(path, 50_000_000)
    command = [sys.executable, "-c", MEASURE, str(path)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    found, before, after = map(int, answer.stdout.split())
    assert found == count
    assert after < 150 * MIB
    assert after - before < 64 * MIB


def test_native_ndjson_is_fast() -> None:
    record = {
        "threat_id": "t",
        "content": "beacon to 203.0.113.7",
        "severity": "HIGH",
        "metadata": {"n": 1},
    }
    data = (json.dumps(record) + "\n").encode() * 100_000
    began = time.process_time()
    with open_feed(BytesIO(data)) as feed:
        assert sum(1 for _ in feed) == 100_000
    assert 100_000 / (time.process_time() - began) > 200_000 / PATIENCE


def test_eve_is_fast() -> None:
    alert = Suricata.example.split(b"\n")[0]
    ends = (b"203.0.%d.%d" % divmod(n, 256) for n in range(40_000))
    data = b"".join(alert.replace(b"203.0.113.7", end) + b"\n" for end in ends)
    began = time.process_time()
    with open_feed(BytesIO(data)) as feed:
        assert sum(1 for _ in feed) == 40_000
    rate = 40_000 / (time.process_time() - began)
    assert rate > 100_000 / PATIENCE
