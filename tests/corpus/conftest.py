"""A Ray cluster in this process, begun once; tests add nodes to it."""

import pytest


@pytest.fixture(scope="session")
def cluster():
    """A Ray cluster of one node with one core, which this process has joined."""
    pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[corpus]'")
    import ray
    from ray.cluster_utils import Cluster
    from ray_nodes import add_node

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # 15 by default: beside other tests the workers would starve
        cluster = Cluster()
        add_node(cluster, include_dashboard=False)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
        ray.shutdown()
        cluster.shutdown()
