"""A real Ray cluster of several nodes on one machine, and one of them dies while it works."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason='needs Ray: pip install "langchain-model-alignment[ray]"')
import ray
from pyarrow import parquet
from ray.cluster_utils import Cluster

from langchain_model_alignment.integrations.ray import label_dataset
from langchain_model_alignment.integrations.ray_session import ray_session
from tests.integration_tests.ray_cases import RAY_WARNINGS, calls_in, noting
from tests.simulated import SimulatedWorld, book_of, rows

pytestmark = pytest.mark.filterwarnings(*RAY_WARNINGS)

BOOK = book_of({"yes": ["The text speaks of a lynx."]})
ROWS = 1000
PATIENCE = 300.0  # seconds


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head and two more nodes of one processor each."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        for _ in range(2):
            made.add_node(num_cpus=1)
        made.wait_for_nodes()
        yield made
    finally:
        made.shutdown()


def test_no_row_is_lost_and_none_comes_twice_when_a_node_dies(cluster: Cluster, tmp_path: Path):
    calls, out = tmp_path / "calls", tmp_path / "out"
    calls.mkdir()
    killed: list[str] = []

    def kill_one_that_works() -> None:
        others = {node.node_id: node for node in cluster.list_all_nodes() if not node.head}
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            busy = [call.node for call in calls_in(calls) if call.node in others]
            if len(busy) >= 20:
                cluster.remove_node(others[busy[-1]], allow_graceful=False)
                killed.append(busy[-1])
                return
            time.sleep(0.05)

    with ray_session(cluster.address):
        ray.data.DataContext.get_current().enable_progress_bars = False
        given = [{"id": at, **row} for at, row in enumerate(rows(ROWS))]
        labeled = label_dataset(
            ray.data.from_items(given, override_num_blocks=4),
            BOOK,
            noting(calls, latency=0.2),
            workers=2,
            max_concurrency=16,
        )
        killer = threading.Thread(target=kill_one_that_works)
        killer.start()
        labeled.write_parquet(str(out))
        killer.join()
        assert len([node for node in ray.nodes() if node["Alive"]]) == 2
    found: list[dict[str, Any]] = [row for file in out.iterdir() for row in parquet.read_table(file).to_pylist()]
    made = calls_in(calls)
    assert killed
    assert max(call.ended for call in made if call.node == killed[0]) < max(call.ended for call in made)
    assert sorted(row["id"] for row in found) == list(range(ROWS))
    world = SimulatedWorld()
    assert all(row["prediction"] == world.label(BOOK.system_text(), row["text"]) for row in found)
    assert len(made) - ROWS <= 4 * 128  # what was asked again: no more than the blocks that the node had in hand
