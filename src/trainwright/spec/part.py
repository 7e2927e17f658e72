"""The common ground of all specs: frozen, strict, closed."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Auto = Literal["auto"]


class Part(BaseModel):
    """A frozen description. Unknown keys are faults, and text is never taken for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def tree(self) -> dict[str, Any]:
        """Gives the spec as plain JSON values, every field there, in the order of definition."""
        return self.model_dump(mode="json")


class Use(Part):
    """A part chosen by name: a catalog entry, or the user's own code as `module:Name`.

    Args:
        use: The name.
        args: Keyword arguments of its constructor.
    """

    use: str
    args: dict[str, Any] = {}
