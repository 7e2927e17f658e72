"""Every architecture with every kind of record, for tests that must see all of them."""

import numpy as np

from models.graphs import FEATURES, LARGEST, NODES, SLOTS, make_graphs, pad

SEQUENCE, RAGGED, IMAGE = [3, 13], [4, 13], [2, 9, 10]
TINY = {"hidden_dims": [8, 8], "output_dim": 3}
UNET = {"architecture": "unet", "task_type": "segmentation", "output_dim": 3, "activation": "gelu"}
NODE = {"architecture": "gnn", "input": "node", "input_shape": [1], "node_features": FEATURES, **TINY}
GRAPH = {**NODE, "input": "graph", "input_shape": [LARGEST, FEATURES + 1 + 2 * SLOTS]}

MODELS = {
    "mlp": {"architecture": "mlp", "input_shape": [5], **TINY},
    "mlp of an image": {"architecture": "mlp", "input_shape": IMAGE, **TINY},
    "mlp with layer norm": {"architecture": "mlp", "input_shape": [5], "normalization": "layer", **TINY},
    "residual mlp": {
        "architecture": "mlp",
        "input_shape": [5],
        "residual": True,
        "normalization": "batch",
        **TINY,
    },
    "mlp with softplus": {"architecture": "mlp", "input_shape": [5], "activation": "softplus", **TINY},
    "mlp with mish": {"architecture": "mlp", "input_shape": [5], "activation": "mish", **TINY},
    "cnn of a sequence": {"architecture": "cnn", "input_shape": SEQUENCE, **TINY},
    "cnn of an image": {"architecture": "cnn", "input_shape": IMAGE, "normalization": "layer", **TINY},
    "residual cnn": {"architecture": "cnn", "input_shape": [2, 9, 9], "residual": True, **TINY},
    "residual cnn with batch norm": {
        "architecture": "cnn",
        "input_shape": SEQUENCE,
        "residual": True,
        "normalization": "batch",
        "output_dim": 3,
        "hidden_dims": [3, 6, 6, 6, 6, 6],
    },
    "ragged cnn": {
        "architecture": "cnn",
        "input_shape": RAGGED,
        "ragged": True,
        "residual": True,
        "normalization": "layer",
        "activation": "sigmoid",
        **TINY,
    },
    "transformer of patches": {
        "architecture": "transformer",
        "input_shape": SEQUENCE,
        "patch_size": 4,
        **TINY,
    },
    "transformer of image patches": {
        "architecture": "transformer",
        "input_shape": IMAGE,
        "patch_size": 4,
        "heads": 2,
        **TINY,
    },
    "transformer behind a convolution": {
        "architecture": "transformer",
        "input_shape": SEQUENCE,
        "stem": "convolution",
        "heads": 4,
        **TINY,
    },
    "transformer of image convolutions": {
        "architecture": "transformer",
        "input_shape": IMAGE,
        "stem": "convolution",
        "stride": 3,
        **TINY,
    },
    "ragged transformer": {
        "architecture": "transformer",
        "input_shape": RAGGED,
        "ragged": True,
        "patch_size": 4,
        "heads": 2,
        **TINY,
    },
    "ragged transformer behind a convolution": {
        "architecture": "transformer",
        "input_shape": RAGGED,
        "ragged": True,
        "stem": "convolution",
        **TINY,
    },
    "transformer of tokens": {
        "architecture": "transformer",
        "input_shape": [7],
        "vocabulary_size": 11,
        "heads": 2,
        **TINY,
    },
    "transformer of numeric columns": {"architecture": "transformer", "input_shape": [5], **TINY},
    "transformer of columns": {
        "architecture": "transformer",
        "input_shape": [5],
        "categories": [0, 3, 0, 4, 0],
        "hidden_dims": [8, 12],
        "output_dim": 3,
    },
    "transformer of categories": {
        "architecture": "transformer",
        "input_shape": [2],
        "categories": [3, 4],
        **TINY,
    },
    "unet of an image": {**UNET, "input_shape": IMAGE, "hidden_dims": [4, 6, 8], "normalization": "none"},
    "unet of a sequence": {**UNET, "input_shape": [13], "hidden_dims": [4, 6]},
    "unet that grows": {**UNET, "input_shape": [5, 6], "input": "image", "upscale": 4, "hidden_dims": [4, 6]},
    "unet of one level": {**UNET, "input_shape": IMAGE, "hidden_dims": [4], "normalization": "layer"},
    "mean and variance": {
        "architecture": "mlp",
        "input_shape": [5],
        "head": "mean_variance",
        "task_type": "regression",
        **TINY,
    },
    "laplace": {
        "architecture": "mlp",
        "input_shape": [5],
        "head": "laplace",
        "task_type": "regression",
        **TINY,
    },
    "student_t": {
        "architecture": "cnn",
        "input_shape": [9],
        "head": "student_t",
        "task_type": "regression",
        **TINY,
    },
    "mixture": {
        "architecture": "mlp",
        "input_shape": [5],
        "head": "mixture",
        "components": 2,
        "task_type": "regression",
        **TINY,
    },
    "quantiles": {
        "architecture": "cnn",
        "input_shape": [9],
        "head": "quantiles",
        "task_type": "regression",
        **TINY,
    },
    "gcn of nodes": {**NODE, "convolution": "gcn"},
    "residual sage of nodes": {**NODE, "convolution": "sage", "residual": True, "hidden_dims": [8, 6, 6]},
    "gat of nodes": {**NODE, "convolution": "gat", "heads": 2, "activation": "elu"},
    "gin of nodes with batch norm": {**NODE, "convolution": "gin", "normalization": "batch"},
    "gcn of graphs": {**GRAPH, "convolution": "gcn", "pooling": "max"},
    "sage of graphs": {**GRAPH, "convolution": "sage", "normalization": "layer"},
    "gat of graphs": {**GRAPH, "convolution": "gat", "heads": 4},
    "gin of graphs with batch norm": {**GRAPH, "convolution": "gin", "normalization": "batch"},
    "gcn of pairs": {**NODE, "input": "pair", "input_shape": [2], "convolution": "gcn"},
    "sage of arrows": {**NODE, "input": "arrow", "input_shape": [2], "convolution": "sage"},
    "embedding of nodes": {
        **NODE,
        "convolution": "sage",
        "task_type": "embedding",
        "hidden_dims": [8],
    },
    "embedding": {"architecture": "mlp", "input_shape": [5], "task_type": "embedding", "hidden_dims": [8]},
}


def make_records(model, count=6, seed=0):
    """Draws records for one of the models; the ragged ones have lengths 1 to all."""
    numbers = np.random.default_rng(seed)
    shape = model["input_shape"]
    if model.get("input") == "node":
        return numbers.permutation(NODES)[:count, None].astype(np.int32)
    if model.get("input") in ("pair", "arrow"):
        return numbers.permuted(np.tile(np.arange(NODES), (count, 1)), axis=1)[:, :2].astype(np.int32)
    if model.get("input") == "graph":
        return pad(make_graphs(count, seed=seed))
    if "vocabulary_size" in model:
        x = numbers.integers(1, model["vocabulary_size"], (count, *shape))
        for record in range(count):
            x[record, record + 1 :] = 0
        return x.astype(np.float32)
    x = numbers.normal(size=(count, *shape)).astype(np.float32)
    for column, size in enumerate(model.get("categories", [])):
        if size:
            x[:, column] = numbers.integers(0, size, count)
    if model.get("ragged"):
        x[:, -1] = np.arange(shape[1]) < np.linspace(1, shape[1], count).astype(int)[:, None]
        x *= x[:, -1:]
    return x
