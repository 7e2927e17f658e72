"""How much a foreign checkpoint may take while it is read."""

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """What the jailed process is held to.

    Args:
        cpu_s: Processor time, in seconds.
        memory_bytes: Address space beyond what the process has before it reads the first byte.
        result_bytes: All tensors together, unpacked.
    """

    cpu_s: int
    memory_bytes: int
    result_bytes: int

    @property
    def wall_s(self) -> int:
        """Gives the seconds after which the process is killed whatever it waits for."""
        return 4 * self.cpu_s + 30


def limits_for(size: int) -> Limits:
    """Gives the limits for a file of so many bytes.

    Tensors may unpack to four times the file and 64 MiB: bfloat16 doubles, compression seldom does more.

    Example:
        >>> limits_for(1_000_000)
        Limits(cpu_s=20, memory_bytes=414653184, result_bytes=71108864)
    """
    result = 4 * size + 64 * MIB
    return Limits(
        cpu_s=20 + size // (10 * MIB), memory_bytes=256 * MIB + 2 * result + 4 * size, result_bytes=result
    )
