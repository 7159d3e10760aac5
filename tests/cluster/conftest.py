"""A local Ray cluster of two nodes, and a local S3 server. Both start once."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lonepair


@pytest.fixture(scope="session")
def s3_port() -> int:
    """The port of the S3 server, which all processes that start later are to use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    os.environ |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    return port


@pytest.fixture(scope="session")
def s3(s3_port: int) -> Iterator[str]:
    """A bucket of a local S3 server, such as s3://studio."""
    reason = "needs an S3 server and client: pip install -c constraints.txt s3fs 'moto[server]'"
    server = pytest.importorskip("moto.server", reason=reason)
    pytest.importorskip("s3fs", reason=reason)
    running = server.ThreadedMotoServer("127.0.0.1", s3_port, verbose=False)
    running.start()
    # s3fs brings it. A batch itself creates no bucket.
    import fsspec

    fsspec.filesystem("s3").mkdir("studio")
    yield "s3://studio"
    running.stop()


@pytest.fixture(scope="session")
def cluster(s3_port: int) -> Iterator[Any]:
    """Two nodes with a CPU each, on this machine."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    paths = [str(Path(lonepair.__file__).parents[1]), str(Path(__file__).parents[1]), str(Path(__file__).parent)]
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])
    # By default Ray's workers give way to every other process of the machine.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
    started = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    started.add_node(num_cpus=1)
    yield started
    started.shutdown()
