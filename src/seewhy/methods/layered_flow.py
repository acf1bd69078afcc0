"""Maximum flow through a layered network, exactly, in whole layers at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

Capacities = Sequence[Float[np.ndarray, "_ _"]]

NEGLIGIBLE = 1e-13
"""What is left of a capacity, or of an excess, below this is rounding of float64 numbers around 1."""


def flow_from_each(capacities: Capacities) -> Float[np.ndarray, " n"]:
    """The maximum flow from every node of the first layer, asked one at a time, to the only node of the last.

    ``capacities[l]`` ``(n_above, n_below)`` are those of the edges from layer ``l`` to ``l + 1``; the last has one row.

    Example:
        >>> flow_from_each([np.array([[0.2, 0.5], [0.3, 0.1]]), np.array([[0.4, 0.2]])])
        array([0.4, 0.5])
    """
    first, rest = capacities[0], capacities[1:]
    if not rest:
        return np.array(first[0], dtype=np.float64)
    return np.array([_Preflow(first[:, source], rest).settled() for source in range(first.shape[1])])


class _Preflow:
    """Push-relabel (Goldberg and Tarjan 1988) with exact distances, a layer's nodes at one distance at a time.

    Nodes hold an excess, which is moved along residual edges to nodes one step nearer the sink, the farthest nodes
    first, until no excess can reach the sink. What has arrived there is then the maximum flow.
    """

    def __init__(self, injected: Float[np.ndarray, " n"], capacities: Capacities) -> None:
        self.open = [capacity.astype(np.float64) for capacity in capacities]
        self.flow = [np.zeros_like(capacity) for capacity in self.open]
        self.excess = [injected.astype(np.float64), *(np.zeros(capacity.shape[0]) for capacity in self.open)]

    def settled(self) -> float:
        """The flow that reaches the sink."""
        while self._wave(self._distances()):
            pass
        return float(self.excess[-1][0])

    def _distances(self) -> list[Float[np.ndarray, " _"]]:
        """Residual edges between each node and the sink; infinite where there is no way."""
        distances = [np.full(len(excess), np.inf) for excess in self.excess]
        distances[-1][0] = 0.0
        reached = {len(distances) - 1}
        steps = 0
        while reached:
            found = set()
            for layer in reached:
                nodes = np.flatnonzero(distances[layer] == steps)
                if layer > 0 and _mark(distances[layer - 1], _any_open(self.open[layer - 1][nodes], 0), steps + 1):
                    found.add(layer - 1)
                above = layer + 1 < len(distances)
                if above and _mark(distances[layer + 1], _any_open(self.flow[layer][:, nodes], 1), steps + 1):
                    found.add(layer + 1)
            reached, steps = found, steps + 1
        return distances

    def _wave(self, distances: list[Float[np.ndarray, " _"]]) -> bool:
        """Discharge every node with excess that has a way to the sink, the farthest first; False if there is none."""
        finite = [float(d[np.isfinite(d)].max(initial=0.0)) for d in distances]
        moved = False
        for distance in range(int(max(finite)), 0, -1):
            for layer, excess in enumerate(self.excess[:-1]):
                nodes = np.flatnonzero((distances[layer] == distance) & (excess > NEGLIGIBLE))
                if len(nodes):
                    self._discharge(layer, nodes, distances, distance - 1)
                    moved = True
        return moved

    def _discharge(self, layer: int, nodes: np.ndarray, distances: list[Float[np.ndarray, " _"]], nearer: int) -> None:
        """Move the nodes' excess to neighbours at distance ``nearer``: upwards, and back where it came from below."""
        up = np.flatnonzero(distances[layer + 1] == nearer)
        if len(up):
            self._push(layer, nodes, layer + 1, up, self.open[layer], self.flow[layer])
        down = np.flatnonzero(distances[layer - 1] == nearer) if layer > 0 else up[:0]
        if len(down):
            self._push(layer, nodes, layer - 1, down, self.flow[layer - 1].T, self.open[layer - 1].T)

    def _push(
        self, layer: int, nodes: np.ndarray, other: int, others: np.ndarray, room: np.ndarray, back: np.ndarray
    ) -> None:
        """Share each node's excess over the room of its edges; ``room[to, from]`` shrinks as ``back`` grows."""
        edges = np.ix_(others, nodes)
        available = room[edges]
        total, excess = available.sum(axis=0), self.excess[layer][nodes]
        share = np.minimum(1.0, np.divide(excess, total, out=np.zeros_like(total), where=total > 0))
        pushed = available * share
        room[edges] = available - pushed
        back[edges] += pushed
        self.excess[other][others] += pushed.sum(axis=1)
        self.excess[layer][nodes] = np.maximum(excess - total, 0.0)


def _any_open(residual: Float[np.ndarray, "a b"], axis: int) -> Bool[np.ndarray, " n"]:
    return np.asarray(residual.max(axis=axis, initial=0.0) > NEGLIGIBLE)


def _mark(distances: Float[np.ndarray, " n"], touched: Bool[np.ndarray, " n"], distance: int) -> bool:
    """Give the touched nodes without a distance this one; whether there were any."""
    fresh = touched & np.isinf(distances)
    distances[fresh] = distance
    return bool(fresh.any())
