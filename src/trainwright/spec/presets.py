"""Sizes of models under a name: what fills the fields that a spec leaves open."""

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "mlp": {
        "small": {"hidden_dims": [128] * 2, "dropout": 0.0, "normalization": "none", "residual": False},
        "medium": {"hidden_dims": [256] * 3, "dropout": 0.1, "normalization": "layer", "residual": True},
        "large": {"hidden_dims": [512] * 4, "dropout": 0.1, "normalization": "layer", "residual": True},
    },
    "cnn": {
        "small": {"hidden_dims": [128] * 2, "dropout": 0.0, "normalization": "none", "residual": False},
        "medium": {
            "hidden_dims": [128, 128, 256],
            "dropout": 0.0,
            "normalization": "batch",
            "residual": False,
        },
        "large": {
            "hidden_dims": [128, 256, 256, 512],
            "dropout": 0.1,
            "normalization": "batch",
            "residual": True,
        },
    },
    "transformer": {
        "small": {"hidden_dims": [64] * 2, "dropout": 0.0, "normalization": "layer", "residual": True},
        "medium": {"hidden_dims": [128] * 4, "dropout": 0.1, "normalization": "layer", "residual": True},
        "large": {"hidden_dims": [256] * 6, "dropout": 0.1, "normalization": "layer", "residual": True},
    },
    "unet": {
        "small": {"hidden_dims": [16, 32], "dropout": 0.0, "normalization": "batch", "residual": False},
        "medium": {"hidden_dims": [32, 64, 128], "dropout": 0.0, "normalization": "batch", "residual": False},
        "large": {
            "hidden_dims": [64, 128, 256, 512],
            "dropout": 0.1,
            "normalization": "batch",
            "residual": False,
        },
    },
    "gnn": {
        "small": {"hidden_dims": [64] * 2, "dropout": 0.0, "normalization": "none", "residual": False},
        "medium": {"hidden_dims": [128] * 3, "dropout": 0.2, "normalization": "batch", "residual": True},
        "large": {"hidden_dims": [256] * 4, "dropout": 0.2, "normalization": "batch", "residual": True},
    },
}


def list_presets(architecture: str) -> dict[str, dict[str, Any]]:
    """Lists what each preset of an architecture fills in, as a copy.

    Raises:
        KeyError: If there is no such architecture.

    Example:
        >>> list_presets("unet")["small"]["hidden_dims"]
        [16, 32]
    """
    return {
        size: {field: list(value) if isinstance(value, list) else value for field, value in fields.items()}
        for size, fields in PRESETS[architecture].items()
    }
