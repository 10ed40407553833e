"""Nodes of a Ray cluster that begin on a busy machine too."""

import contextlib
import socket

_PORTS = ("metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
_MEMORY = 80 * 2**20  # of the object store, the least that Ray takes


def add_node(cluster, **arguments):
    """A node with one core. Ray gives it half a minute to begin, too little on a busy machine: it has three tries."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            return cluster.add_node(num_cpus=1, object_store_memory=_MEMORY, **_free_ports(), **arguments)
    return cluster.add_node(num_cpus=1, object_store_memory=_MEMORY, **_free_ports(), **arguments)


def _free_ports():
    """Ports for Ray's agents: those that it chooses itself it must be told of within 15 seconds."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in _PORTS]
        for each in sockets:
            each.bind(("", 0))
        return dict(zip(_PORTS, [each.getsockname()[1] for each in sockets], strict=True))
