"""A whole cluster with the operator in it, in one process and on virtual time: an hour of a release in a moment.

The API server, the controllers and the pods are the simulator's, the operator is the product, put together by the same
composition root as in production. `cluster` starts it all, `space` is a namespace with everything a test does there,
`process` runs the operator and kills it, `wire` and `outside` are what the operator is connected to instead of sockets,
and `systems` defines the custom resources of other systems. Tests that use it ask for the fixture `virtual_time`:

    @pytest.mark.asyncio
    async def test_a_release_ends_well(virtual_time: Clock) -> None:
        async with simulated() as cluster, cluster.operator():
            space = cluster.space("shop")
            await space.create(deployment, canary)
            await space.phase("Initialized")
"""

from simulated.cluster import Cluster, simulated
from simulated.process import Process
from simulated.space import Space

__all__ = ["Cluster", "Process", "Space", "simulated"]
