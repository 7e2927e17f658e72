"""From a model spec to a blueprint."""

import math
from typing import Any

from trainwright.base.errors import SpecError
from trainwright.models.blueprint import Blueprint, Kind, Layer, Parameter
from trainwright.models.heads import raw_outputs
from trainwright.spec.model import ModelSpec

MOST_CHANNELS = 16  # two axes whose first is at most this long are (channels, length), otherwise an image


def build_blueprint(spec: ModelSpec) -> Blueprint:
    """Lays out the network of a spec whose `auto`s are decided.

    Initial values are uniform within 1/sqrt(fan in), which is torch's default for dense and convolution layers.
    A layer that is followed by batch normalisation has no bias: the normalisation would take it away again, and its
    true gradient would be zero.

    Raises:
        SpecError: If the architecture does not fit the input.

    Example:
        >>> spec = ModelSpec(architecture="mlp", input_shape=[3], output_dim=2, hidden_dims=[4])
        >>> plan = build_blueprint(spec)
        >>> [layer.kind for layer in plan.layers], plan.count_parameters()
        (['dense', 'activation', 'dense'], 26)
    """
    if spec.input_shape == "auto" or spec.output_dim == "auto":
        raise SpecError(
            "model.input_shape, model.output_dim: give them, or let `resolve` take them from data"
        )
    plan = _Plan(tuple(spec.input_shape))
    if spec.architecture == "mlp":
        _mlp(plan, spec)
    else:
        _cnn(plan, spec)
    width = raw_outputs(spec.head, spec.output_dim, quantiles=spec.quantiles)
    plan.dense("output", width, bias=True)
    return Blueprint(tuple(spec.input_shape), width, tuple(plan.layers), plan.parameters)


class _Plan:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.layers: list[Layer] = []
        self.parameters: dict[str, Parameter] = {}

    def add(self, kind: Kind, name: str, **options: Any) -> None:
        self.layers.append(Layer(kind, name, options))

    def dense(self, name: str, width: int, *, bias: bool) -> None:
        fan_in = self.shape[0]
        self.add("dense", name, bias=bias)
        self.parameters[f"{name}.weight"] = Parameter((width, fan_in), bound=1 / math.sqrt(fan_in))
        if bias:
            self.parameters[f"{name}.bias"] = Parameter((width,), bound=1 / math.sqrt(fan_in))
        self.shape = (width,)

    def convolution(self, name: str, channels: int, kernel: int, *, bias: bool) -> None:
        axes = len(self.shape) - 1
        fan_in = self.shape[0] * kernel**axes
        self.add("conv", name, bias=bias, padding=kernel // 2, axes=axes)
        shape = (channels, self.shape[0], *[kernel] * axes)
        self.parameters[f"{name}.weight"] = Parameter(shape, bound=1 / math.sqrt(fan_in))
        if bias:
            self.parameters[f"{name}.bias"] = Parameter((channels,), bound=1 / math.sqrt(fan_in))
        self.shape = (channels, *self.shape[1:])

    def finish_stage(self, number: int, spec: ModelSpec, *, pool: bool) -> None:
        if spec.normalization == "batch":
            name = f"norm_{number}"
            self.add("batch_norm", name)
            channels = (self.shape[0],)
            self.parameters[f"{name}.weight"] = Parameter(channels, constant=1.0)
            self.parameters[f"{name}.bias"] = Parameter(channels)
            self.parameters[f"{name}.running_mean"] = Parameter(channels, trained=False)
            self.parameters[f"{name}.running_var"] = Parameter(channels, constant=1.0, trained=False)
        if pool:
            # Before the activation: for a rising function, such as relu, it is the same on fewer numbers.
            self.add("max_pool", f"pool_{number}", axes=len(self.shape) - 1)
            self.shape = (self.shape[0], *[length // 2 for length in self.shape[1:]])
        if spec.activation != "identity":
            self.add("activation", f"activation_{number}", function=spec.activation)
        if spec.dropout > 0:
            self.add("dropout", f"dropout_{number}", rate=spec.dropout)


def _mlp(plan: _Plan, spec: ModelSpec) -> None:
    if len(plan.shape) != 1:
        plan.add("flatten", "flatten")
        plan.shape = (math.prod(plan.shape),)
    for number, width in enumerate(spec.hidden_dims):
        plan.dense(f"dense_{number}", width, bias=spec.normalization == "none")
        plan.finish_stage(number, spec, pool=False)


def _cnn(plan: _Plan, spec: ModelSpec) -> None:
    shape = plan.shape
    if len(shape) == 1 or (len(shape) == 2 and shape[0] > MOST_CHANNELS):
        plan.shape = (1, *shape)
        plan.add("reshape", "reshape", shape=list(plan.shape))
    if len(plan.shape) not in (2, 3):
        raise SpecError(f"model.input_shape: a cnn takes 1 to 3 axes, not {list(shape)}")
    for number, channels in enumerate(spec.hidden_dims):
        plan.convolution(f"conv_{number}", channels, spec.kernel_size or 3, bias=spec.normalization == "none")
        plan.finish_stage(number, spec, pool=min(plan.shape[1:]) >= 2)
    plan.add("mean", "mean")
    plan.shape = (plan.shape[0],)
