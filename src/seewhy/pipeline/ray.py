"""Shards made by workers of a Ray cluster, or by several on this machine: the only module that calls Ray."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import re
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seewhy.pipeline.cluster_address import asked_address, asked_by, require_answer
from seewhy.pipeline.cluster_errors import ClusterError
from seewhy.pipeline.job import Job
from seewhy.pipeline.process_marks import environment_kept, loggers_quiet, signals_kept, standard_error_without
from seewhy.pipeline.ray_options import busy_note, check_amounts, plain_arguments, room_for
from seewhy.pipeline.stage import Done, Task
from seewhy.pipeline.worker import Order, Worker, done_of, factory_of, sameness
from seewhy.store.attempts import forget_attempts
from seewhy.store.run_directory import RunDirectory
from seewhy.values import Json, MissingExtraError

OBJECT_STORE_BYTES = 100 * 2**20
"""Shared memory of a Ray that is started here: rows are small, and artifacts never travel through it."""
IN_FLIGHT = 2
"""Shards that a worker is given at a time: one to make, one that waits."""
ABOUT_ITS_LOG = re.compile(rb"logging\.cc:\d+: Set ray log level")
"""What Ray says of the very setting that keeps it from saying more."""
Advanced = Callable[[int, int], None]
log = logging.getLogger(__name__)


class RayRunner:
    """Computes the shards of a run on workers of Ray Data, each with a model of its own; a runner for ``seewhy.run``.

    ``build`` is the dotted name ``"package.module:function"`` of a callable that every worker can import and calls with
    ``arguments`` (plain JSON): it returns :class:`seewhy.pipeline.worker.Parts`, the same model and data that the run
    is given. ``address`` is ``HOST:PORT`` of a cluster's head node, ``auto`` on one of its machines, or None: what
    ``RAY_ADDRESS`` says, else a Ray of this machine's own for the time of the run. A session of Ray that is there
    already is used and left alone. ``workers`` is how many (None: as many as the cluster has room for), ``num_cpus``
    and ``num_gpus`` what each of them gets (``num_gpus`` None: one where the cluster has any). The output directory
    must lie where all of them see it, under the same path. ``say`` is told where a busy cluster has to be waited for.

    A worker that dies is replaced and its shard made again; a record that kills its worker twice becomes a failed row.

    Raises:
        ClusterError: ``SW-Y01`` nothing answers at the address, ``SW-Y02`` no room for what is asked, ``SW-Y03`` a
            worker has another model or other data, ``SW-Y04`` a worker or Ray failed, ``SW-Y05`` ``build`` is no such
            function, ``SW-Y06`` a setting, ``SW-Y09`` and ``SW-Y10`` workers keep dying.
        MissingExtraError: ``SW-X01`` Ray is not installed.
    """

    def __init__(
        self,
        build: str,
        arguments: Mapping[str, Json],
        *,
        address: str | None = None,
        workers: int | None = None,
        num_cpus: float = 1,
        num_gpus: float | None = None,
        say: Callable[[str], None] = log.warning,
    ) -> None:
        check_amounts(workers, num_cpus, num_gpus)
        if importlib.util.find_spec("ray") is None:
            raise MissingExtraError("ray", "ray")
        factory_of(build)
        self._say = say
        self._build, self._arguments = build, plain_arguments(arguments)
        self._workers, self._num_cpus, self._num_gpus = workers, num_cpus, num_gpus
        self._address = asked_address(address)
        if self._address is not None:
            require_answer(self._address, asked_by(address))

    def compute(
        self, job: Job, tasks: Sequence[Task], directory: RunDirectory, advanced: Advanced
    ) -> Generator[Done, None, None]:
        """Make every task's shard, in the order in which workers end them."""
        order = Order(
            build=self._build,
            arguments=self._arguments,
            folder=str(Path.cwd()),
            settings=job.settings,
            delegate=directory.delegate(),
            same=sameness(job),
            questions=tuple(dict.fromkeys(task.chunk.questions for task in tasks)),
            threads=max(1, int(self._num_cpus)),
        )
        try:
            with _session(self._address) as started, contextlib.closing(self._rows(order, tasks, started)) as rows:
                for row in rows:
                    done = done_of(row)
                    directory.adopt(done.name)
                    advanced(done.records, done.failed)
                    yield done
        finally:
            forget_attempts(directory.root)

    def _rows(self, order: Order, tasks: Sequence[Task], started: bool) -> Generator[Mapping[str, Any], None, None]:
        import ray

        try:
            with warnings.catch_warnings(action="ignore"):  # Ray warns of its own settings
                made = self._planned(ray, order, tasks, started)
            yield from made.iter_rows()
        except ray.exceptions.RayError as error:
            raise ClusterError(
                "SW-Y04", f"Ray ended the work: {str(error).strip()}",
                fix="committed records are kept: see to the cluster, then run the same command again",
            ) from error  # fmt: skip

    def _planned(self, ray: Any, order: Order, tasks: Sequence[Task], started: bool) -> Any:
        room = room_for(
            [node["Resources"] for node in ray.nodes() if node["Alive"]], len(tasks), workers=self._workers,
            num_cpus=self._num_cpus, num_gpus=self._num_gpus, grows=not started,
        )  # fmt: skip
        if not started and (note := busy_note(ray.available_resources(), self._num_cpus, room.num_gpus)):
            self._say(note)
        context = ray.data.DataContext.get_current()
        shown = context.enable_progress_bars, context.print_on_execution_start
        context.enable_progress_bars = context.print_on_execution_start = False
        try:
            asked = ray.data.from_items([order.row(task) for task in tasks], override_num_blocks=len(tasks))
        finally:
            context.enable_progress_bars, context.print_on_execution_start = shown
        workers = ray.data.ActorPoolStrategy(
            min_size=room.least, max_size=room.most, max_tasks_in_flight_per_actor=IN_FLIGHT
        )
        constructor = {"order": order}
        return asked.map(
            Worker, fn_constructor_kwargs=constructor, compute=workers, num_cpus=self._num_cpus, num_gpus=room.num_gpus
        )


@contextlib.contextmanager
def _session(address: str | None) -> Iterator[bool]:
    """A session of Ray; true where it was started on this machine, for this run alone."""
    with environment_kept():
        try:
            import ray
            import ray.data
        except ImportError as error:  # Ray without what its data sets need
            raise MissingExtraError("ray", "ray") from error
        with loggers_quiet(("ray", "ray.data")):
            if ray.is_initialized():
                yield False
                return
            try:
                _start(ray, address)
                yield address is None
            finally:
                ray.shutdown()


def _start(ray: Any, address: str | None) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    alone = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES} if address is None else {}
    try:
        quiet = standard_error_without(ABOUT_ITS_LOG)
        with quiet, signals_kept(), warnings.catch_warnings(action="ignore"):
            ray.init(address or "local", log_to_driver=False, configure_logging=False, **alone)
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterError(
            "SW-Y01", f"Ray cannot be {'joined' if address else 'started'}: {error}", fix="see what Ray says"
        ) from error
