"""One of several processes that make each step together, as Lightning sees it."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.fabric.plugins.environments import ClusterEnvironment
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed

from trainwright.base.errors import BackendError

INTERFACE = (
    "GLOO_SOCKET_IFNAME"  # gloo listens there; the processes are on one machine, so nobody else need reach it
)


@dataclass(frozen=True, slots=True)
class Place:
    """Which process this is.

    Args:
        rank: Its number, counted from 0; 0 is the process of the run.
        of: How many there are.
    """

    rank: int = 0
    of: int = 1


class _Environment(ClusterEnvironment):
    """Tells Lightning that the processes are there already, whatever variables of the environment say."""

    creates_processes_externally = True
    main_address, main_port = "127.0.0.1", 0  # not asked for: the processes have found one another before

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    @staticmethod
    def detect() -> bool:
        """Says no: it is made on purpose only."""
        return False

    def world_size(self) -> int:
        """Counts the processes."""
        return self._place.of

    def set_world_size(self, size: int) -> None:
        """Takes nothing: it is known."""

    def global_rank(self) -> int:
        """Gives the number of this process."""
        return self._place.rank

    def set_global_rank(self, rank: int) -> None:
        """Takes nothing: it is known."""

    def local_rank(self) -> int:
        """Gives the number of this process on the machine, of which there is one."""
        return self._place.rank

    def node_rank(self) -> int:
        """Gives the number of the machine."""
        return 0


class _Together(DDPStrategy):
    """Lightning's DDP over processes that have found one another, for a module that adds up its gradients itself."""

    def __init__(self, place: Place) -> None:
        super().__init__(
            parallel_devices=[torch.device("cpu")] * place.of,
            cluster_environment=_Environment(place),
            process_group_backend="gloo",
        )

    def _configure_launcher(self) -> None:
        self._launcher = None

    def setup_distributed(self) -> None:
        """Takes the process group that is there."""
        self.set_world_ranks()

    def configure_ddp(self) -> None:
        """Leaves the module as it is: torch's wrapper hears of `backward` only, and knows nothing of weights."""
        assert isinstance(self.model, LightningModule)


def strategy_of(place: Place) -> DDPStrategy:
    """Makes Lightning's strategy for one of several processes."""
    return _Together(place)


@contextmanager
def joined(place: Place, meeting: Path) -> Iterator[None]:
    """Joins the processes for a while; each waits for all others.

    Args:
        place: Which process this is.
        meeting: A file in a folder of its own, by which they find one another.

    Raises:
        BackendError: If this process belongs to another group already.
    """
    if distributed.is_initialized():
        raise BackendError(
            "train.lightning.devices: this process is one of a torch.distributed group already; leave that, or "
            "write devices: 1"
        )
    before, hook = os.environ.get(INTERFACE), sys.excepthook
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    if before is None and loopback is not None:
        os.environ[INTERFACE] = loopback
    try:
        store = distributed.FileStore(str(meeting), place.of)
        distributed.init_process_group("gloo", store=store, rank=place.rank, world_size=place.of)
    finally:
        if before is None:
            os.environ.pop(INTERFACE, None)
    try:
        yield
    finally:
        distributed.destroy_process_group()
        sys.excepthook = hook  # torch's own would write the rank before each line of any later error
