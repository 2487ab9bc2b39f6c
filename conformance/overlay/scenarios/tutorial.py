"""The tutorial: two hosts, one overlay network, a web server here and a visitor there.

Source: Docker's "Get started with multi-host networking" (Engine 1.9 to 17.x docs).
"""

import re

from conformance.overlay import image
from conformance.overlay.lab import DOCKER, Lab
from conformance.overlay.records import NODES, TREE
from conformance.overlay.scenario import Chapter
from conformance.overlay.waiting import expect, wait_until

CHAPTER = Chapter()

_SUBNET = "10.0.9.0/24"
_MTU_VXLAN = "mtu 1450"

# What a removed network leaves behind with a real Consul: markers, an empty list of pools, and
# the bitmap of VXLAN ids with no id taken.
_REMAINS = re.compile(
    rf"{NODES}(/[\d.:]+)?"
    rf"|{TREE}(network|endpoint_count|endpoint)/"
    rf"|{TREE}endpoint/[0-9a-f]{{64}}/"
    rf"|{TREE}ipam/default/config/GlobalDefault/"
    rf"|{TREE}idm/vxlan-id/"
)


@CHAPTER.scenario("TUT", "the tutorial: network here, container there, page by name", quick=True)
def tutorial(lab: Lab) -> None:
    """Both hosts are discovered; `my-net` is one network; a page crosses it; removal is complete.

    Source: the tutorial, which works as written; keys left: measured on Consul 1.8.7.
    """
    walk(lab)


def walk(lab: Lab) -> None:
    """Do what the tutorial does once store and engines are up, and check each step."""
    expect(
        that=set(lab.view().engines) == {engine.advertised for engine in lab.engines},
        what=f"both engines under {NODES}",
        seen=lab.view().engines,
    )
    network = lab.create(lab.h1, "my-net", f"--subnet={_SUBNET}")
    shown = lab.h2.docker(
        "network", "inspect", "--format", "{{.Id}} {{.Driver}} {{.Scope}}", "my-net"
    )
    expect(that=shown == f"{network} overlay global", what=f"{network} on h2", seen=shown)
    lab.run(lab.h1, "web", "my-net")
    page = lab.h2.docker(
        "run", "--rm", "--network", "my-net", image.NAME, "wget", "-q", "-O", "-", "http://web"
    )
    expect(that=page == image.PAGE, what="the page of web on h2", seen=page)
    _check_interfaces(lab)
    lab.h1.docker("rm", "--force", "web")
    wait_until(lambda: not lab.view().endpoints, 10, "the endpoint of web is gone")
    lab.h2.docker("network", "rm", "my-net")
    left = [entry.key for entry in lab.store.kv.tree(DOCKER) if not _REMAINS.fullmatch(entry.key)]
    expect(that=not left, what="nothing but markers and empty tables left", seen=left)
    expect(that=not lab.view().pools, what="no pool left", seen=lab.view().pools)


def _check_interfaces(lab: Lab) -> None:
    """Expect eth0 on the overlay with its MTU, and eth1 on docker_gwbridge."""
    seen = lab.h1.docker("exec", "web", "ip", "address", "show")
    for part in ("inet 10.0.9.2/24", _MTU_VXLAN, "eth1"):
        expect(that=part in seen, what=f"{part!r} in web", seen=seen)
    bridged = lab.h1.docker(
        "network", "inspect", "--format", "{{len .Containers}}", "docker_gwbridge"
    )
    expect(that=bridged == "1", what="web on docker_gwbridge", seen=f"{bridged} containers")
