"""Exact neighbours of 500 among 20 000 vectors of length 512, beside faiss, scikit-learn and one plain product."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import faiss
import torch
from sklearn.neighbors import NearestNeighbors

from seewhy.features.embeddings.faiss_search import FaissIndex
from seewhy.features.embeddings.neighbours import nearest_neighbours
from seewhy.features.embeddings.principal import principal_components

ROUNDS = 7
REFERENCES, QUERIES, WIDTH, NEAREST, CLASSES = 20_000, 500, 512, 10, 200


def main() -> None:
    """Print the median processor seconds of each way, taken in turns on one thread, and its ratio to the product."""
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    middles = torch.randn(CLASSES, WIDTH, generator=generator)
    vectors = middles.repeat(-(-(REFERENCES + QUERIES) // CLASSES), 1)[: REFERENCES + QUERIES]
    vectors = vectors + torch.randn(REFERENCES + QUERIES, WIDTH, generator=generator)
    table, queries = vectors[:REFERENCES], vectors[REFERENCES:]
    flat, hnsw = FaissIndex(table, "cosine", "flat"), FaissIndex(table, "cosine", "hnsw")
    other = NearestNeighbors(n_neighbors=NEAREST, metric="cosine", algorithm="brute").fit(table.numpy())
    units = torch.nn.functional.normalize(table)

    def product() -> object:
        return (torch.nn.functional.normalize(queries) @ units.T).topk(NEAREST, dim=1)

    ways: dict[str, Callable[[], object]] = {
        "one float32 product (not exact to the last bit)": product,
        "seewhy, exact in float64": lambda: nearest_neighbours(queries, table, NEAREST),
        "faiss flat, float32": lambda: flat.search(queries, NEAREST),
        "faiss hnsw, float32": lambda: hnsw.search(queries, NEAREST),
        "scikit-learn brute": lambda: other.kneighbors(queries.numpy()),
        "principal components of all": lambda: principal_components(table),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, ask in ways.items():
            begun = time.process_time()
            ask()
            taken[name].append(time.process_time() - begun)
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    base = medians["one float32 product (not exact to the last bit)"]
    print(f"{QUERIES} queries among {REFERENCES} vectors of length {WIDTH} in {CLASSES} classes, one thread")
    for name, seconds in medians.items():
        print(f"{name:<50} {seconds:8.3f} s  {seconds / base:6.1f} x")
    print(f"hnsw: built in {hnsw.seconds:.1f} s, recall@{NEAREST} {hnsw.recall(queries[:100], NEAREST).share:.3f}")


if __name__ == "__main__":
    main()
