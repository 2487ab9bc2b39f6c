"""compose.yaml: understood by Compose, and of one mind with the image and the units."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from promised import lacking

ROOT = Path(__file__).parent.parent

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    """Give the one service, as Compose understands it."""
    if shutil.which("docker-compose") is None:
        lacking("compose.yaml is read by docker-compose: install the package docker-compose")
    command = ["docker-compose", "-f", str(ROOT / "compose.yaml"), "config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # Debian's libraries, which docker-compose itself needs: YAML → JSON.
    to_json = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)"
    read = subprocess.run(
        ["/usr/bin/python3", "-c", to_json], input=done.stdout, capture_output=True, check=True,
        text=True,
    )  # fmt: skip
    (service,) = json.loads(read.stdout)["services"].values()
    return dict(service)


def test_it_publishes_what_the_image_exposes(service: dict[str, Any]) -> None:
    """The port is the image's, and the volume is where the image has its data."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (port,) = service["ports"]
    assert re.search(rf"^EXPOSE {port['target']}$", dockerfile, re.MULTILINE)
    (volume,) = service["volumes"]
    assert re.search(rf"^VOLUME {volume.split(':')[1]}$", dockerfile, re.MULTILINE)


def test_it_asks_after_its_health_as_the_image_does(service: dict[str, Any]) -> None:
    """The command is the image's."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"CMD {json.dumps(service['healthcheck']['test'][1:])}" in dockerfile


def test_it_has_the_limits_of_the_unit(service: dict[str, Any]) -> None:
    """Descriptors, what goes first when memory is short, and the time for a stop."""
    unit = (ROOT / "deploy" / "kvstore.service").read_text(encoding="utf-8")
    assert f"LimitNOFILE={service['ulimits']['nofile']['hard']}\n" in unit
    assert f"OOMScoreAdjust={service['oom_score_adj']}\n" in unit
    assert f"TimeoutStopSec={service['stop_grace_period'].rstrip('s')}\n" in unit
    assert service["restart"] == "unless-stopped"
