"""A Ray cluster in this process, which lives for the tests of one file; they add nodes to it."""

import pytest


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster of one node with one core, which this process has joined."""
    pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[corpus]'")
    import ray
    from ray.cluster_utils import Cluster
    from ray_nodes import add_node

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_enable_metrics_collection", "0")  # as corpus.cluster has it
        patch.setenv("RAY_worker_niceness", "0")  # 15 by default: beside other tests the workers would starve
        cluster = Cluster()
        add_node(cluster, include_dashboard=False)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
        ray.shutdown()
        cluster.shutdown()
