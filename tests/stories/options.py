"""Small data of every kind, and each option of an experiment by a name."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet

RECORDS = 96  # 72 of them train: in batches of 16, four full steps and one of 8


def write_data(folder):
    """Writes one small file of every kind."""
    numbers = np.random.default_rng(0)
    x = numbers.normal(3.0, 2.0, size=(RECORDS, 4)).astype(np.float32)
    classes = (x[:, 0] > 3).astype(np.int64) + (x[:, 1] > 3)
    weight = numbers.uniform(0.0, 2.0, RECORDS)
    np.savez(folder / "rows.npz", x=x, y=classes, w=weight)
    shares = np.exp(x[:, :3]) / np.exp(x[:, :3]).sum(axis=1, keepdims=True)
    np.savez(folder / "shares.npz", x=x, y=shares)
    values = np.column_stack([x @ [1.0, -0.5, 0.2, 0.0], x[:, 2] ** 2]) + numbers.normal(0, 0.1, (RECORDS, 2))
    np.savez(folder / "line.npz", x=x, y=values)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", values)
    columns = {f"c{number}": x[:, number].astype(np.float64) for number in range(4)}
    pyarrow.parquet.write_table(pa.table({**columns, "y": values[:, 0]}), folder / "t.parquet")
    np.savez(folder / "labels.npz", x=x, y=(x[:, :3] > [2.5, 3.0, 4.0]).astype(np.float32))
    images = numbers.normal(size=(RECORDS, 1, 8, 8)).astype(np.float32)
    sides = np.arange(RECORDS) % 2
    images[:, 0, :, :4] += sides[:, None, None]
    np.savez(folder / "images.npz", x=images, y=sides)
    np.savez(folder / "masks.npz", x=images, y=(images[:, 0] > 0.5).astype(np.int64))
    lengths = 5 + np.arange(RECORDS) % 5
    waves = numbers.normal(size=int(lengths.sum())) + np.repeat(sides, lengths)
    np.savez(folder / "ragged.npz", x=waves, x_lengths=lengths, y=sides)
    tokens = numbers.integers(1, 9, (RECORDS, 6))
    tokens[:9, 0] = np.arange(1, 10) % 9  # every id is among the first records, which train
    np.savez(folder / "tokens.npz", x=tokens, y=(tokens[:, 0] > 4).astype(np.int64))
    _write_table(folder / "table.csv", numbers)


def _write_table(path, numbers):
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["age", "city", "member", "since", "pay", "y"])
        for number in range(RECORDS):
            age = "" if number % 11 == 3 else f"{numbers.normal(40, 9):.2f}"
            city = "" if number % 13 == 5 else ["Bonn", "Kiel", "Ulm"][number % 3]
            since = "" if number % 17 == 2 else f"20{10 + number % 9}-0{1 + number % 8}-11"
            member = ["yes", "no"][number // 2 % 2]
            pay = f"{numbers.normal(10 * (number % 3), 3):.3f}"
            out.writerow([age, city, member, since, pay, ["low", "middle", "high"][number % 3]])


ADAMW = {"name": "adamw", "lr": 0.01}
PLAIN = {
    "name": "a",
    "seed": 3,
    "data": {"path": "rows.npz", "split": {"val": 0.25}, "operators": [{"use": "Standardize"}]},
    "model": {"architecture": "mlp", "hidden_dims": [8, 6], "dropout": 0.2, "normalization": "batch"},
    "train": {"epochs": 3, "batch_size": 16, "optimizer": ADAMW},
}
CNN = {
    "data.path": "images.npz",
    "data.operators": [],
    "model": {"architecture": "cnn", "hidden_dims": [4, 6], "normalization": "batch", "dropout": 0.1},
}
UNET = {
    "data.path": "masks.npz",
    "data.operators": [],
    "model": {
        "architecture": "unet",
        "task_type": "segmentation",
        "hidden_dims": [3, 4],
        "normalization": "batch",
        "dropout": 0.1,
    },
}
TRANSFORMER = {"architecture": "transformer", "hidden_dims": [8, 8], "heads": 2, "dropout": 0.2}
LINE = {
    "data.path": "line.npz",
    "model.task_type": "regression",
    "data.target_operators": [{"use": "Standardize"}],
}
EMBEDDING = {"model.task_type": "embedding", "model.output_dim": 4}
SEQUENCES = {
    "data.path": "ragged.npz",
    "model": {"architecture": "cnn", "hidden_dims": [4, 6], "normalization": "layer", "dropout": 0.1},
}
TABLE = {"data.path": "table.csv", "data.target": "y", "data.operators": "auto", "data.missing": "impute"}


def _use(name, **args):
    return {"use": name, "args": args}


def _optimizer(name, **more):
    return {"train.optimizer": {"name": name, "lr": 0.01, **more}}


def _schedule(name, **more):
    return {"train.schedule": {"name": name, **more}}


def _calls(*uses):
    return {"train.callbacks": list(uses)}


SCHEDULES = {
    "constant, warmed up by steps": _schedule("constant", warmup_steps=7),
    "cosine by step": _schedule("cosine", warmup_epochs=0.5, final_fraction=0.1),
    "cosine by epoch": _schedule("cosine", by="epoch", warmup_steps=3),
    "one cycle by step": _schedule("one_cycle"),
    "one cycle by epoch": _schedule("one_cycle", by="epoch", rise=0.5),
    "step by epoch": _schedule("step", every=2, factor=0.5, warmup_epochs=0.3),
    "step by step": _schedule("step", every=3, factor=0.7, by="step"),
    "multistep": _schedule("multi_step", milestones=[1, 2], factor=0.5),
    "multistep by step": _schedule("multi_step", milestones=[4, 9], factor=0.5, by="step", warmup_steps=2),
    "exponential": _schedule("exponential", gamma=0.8),
    "exponential by step": _schedule("exponential", gamma=0.97, by="step", warmup_steps=4),
    "linear": _schedule("linear", warmup_epochs=1.0, final_fraction=0.2),
    "polynomial": _schedule("polynomial", power=1.5, by="epoch"),
    "plateau": _schedule("plateau", metric="val/loss", patience=1, factor=0.5, mode="max", warmup_steps=2),
}
TRAINING = {
    "sgd": _optimizer("sgd", momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": _optimizer("adam", weight_decay=0.01),
    "rmsprop": _optimizer("rmsprop", momentum=0.5, centered=True, weight_decay=0.01),
    "adagrad": _optimizer("adagrad", lr_decay=0.1, initial_accumulator=0.1),
    "groups": {
        "train.groups": [
            {"match": "norm_*|*.bias", "weight_decay": 0.0, "lr_scale": 0.5},
            {"match": "dense_0.*", "frozen": True},
        ]
    },
    "frozen normalisation": {"train.groups": [{"match": "norm_0.*", "frozen": True}]},
    "clip_value": {"train.clip_value": 0.05},
    "both clips": {"train.clip_value": 0.05, "train.clip_norm": 0.1},
    "accumulate": {"train.accumulate": 2},
    "ema": {"train.ema": {"decay": 0.9}},
    "ema without warm-up": {"train.ema": {"decay": 0.8, "warmup": False}, "train.accumulate": 2},
    "weights": {"data.weight": "w"},
    "label smoothing": {"train.loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
    "balanced classes": {"train.loss": {"name": "cross_entropy", "class_weights": "balanced"}},
    "residual, layer normalisation": {
        "model": {"architecture": "mlp", "hidden_dims": [6, 6], "normalization": "layer", "residual": True}
    },
    "restore best": {"train.restore_best": True},
}
TASKS = {
    "mae": {**LINE, "train.loss": "mae"},
    "huber": {**LINE, "train.loss": {"name": "huber", "delta": 0.5}},
    "mean and variance": {**LINE, "model.head": "mean_variance"},
    "quantiles": {**LINE, "model.head": "quantiles", "model.quantiles": [0.1, 0.5, 0.9]},
    "student_t": {**LINE, "model.head": "student_t"},
    "mixture": {**LINE, "model.head": "mixture", "model.components": 2},
    "composite of balanced classes": {
        "train.loss": {
            "name": "composite",
            "losses": [
                {"loss": {"name": "cross_entropy", "class_weights": "balanced"}},
                {"loss": {"name": "focal", "class_weights": "balanced"}, "weight": 0.5},
            ],
        }
    },
    "probabilities of classes": {
        "data.path": "shares.npz",
        "model.task_type": "classification",
        "train.loss": {
            "name": "composite",
            "losses": [
                {"loss": {"name": "cross_entropy", "class_weights": None}},
                {"loss": {"name": "kl", "temperature": 3.0}, "weight": 0.5},
            ],
        },
    },
    "labels": {
        "data.path": "labels.npz",
        "model.task_type": "multi_label",
        "train.loss": {"name": "binary_cross_entropy", "class_weights": "balanced"},
    },
    "supervised contrastive": EMBEDDING,
    "triplet": {**EMBEDDING, "train.loss": {"name": "triplet", "margin": 0.3}},
    "reconstruction": {**EMBEDDING, "train.loss": "reconstruction", "data.target": None},
    "nt_xent": {
        **CNN,
        **EMBEDDING,
        "train.loss": "nt_xent",
        "data.augment": [_use("HorizontalFlip"), _use("RandomCrop", padding=1), _use("RandomErasing")],
    },
    "nt_xent with accumulation": {
        **EMBEDDING,
        "train.loss": "nt_xent",
        "train.accumulate": 2,
        "data.path": "ragged.npz",
        "data.operators": [],
        "model": {**SEQUENCES["model"], "task_type": "embedding", "output_dim": 4},
        "data.augment": [_use("GaussianNoise", std=0.3, mask=True)],
    },
    "augmented cnn": {**CNN, "data.augment": [_use("HorizontalFlip"), _use("RandomRotation", degrees=20)]},
    "unet": UNET,
    "ragged cnn": SEQUENCES,
    "ragged transformer": {**SEQUENCES, "model": TRANSFORMER},
    "tokens": {"data.path": "tokens.npz", "data.operators": [], "model": TRANSFORMER},
    "transformer over images": {**CNN, "model": {**TRANSFORMER, "patch_size": 2}},
    "table": TABLE,
    "table for a transformer": {**TABLE, "model": TRANSFORMER},
    "records in an .npy file": {
        **LINE,
        "data.path": "x.npy",
        "data.target": "y.npy",
        "data.in_memory": False,
    },
    "records in a parquet file": {
        **LINE,
        "data.path": "t.parquet",
        "data.target": "y",
        "data.in_memory": False,
    },
    "augmented records in a file": {
        **CNN,
        "data.in_memory": False,
        "data.augment": [_use("VerticalFlip"), _use("RandomCrop", padding=2)],
    },
}
CALLBACKS = {
    "time limit and lines": _calls(
        _use("TimeLimit", seconds=1000), _use("JSONLines", path="m.jsonl"), _use("StopOnNaN")
    ),
    "early stopping": {
        **_calls(_use("EarlyStopping", metric="train/loss", mode="max", patience=2)),
        "train.epochs": 9,
    },
    "stop at a threshold": {
        **_calls(_use("StopOnThreshold", metric="val/loss", below=0.95)),
        "train.epochs": 12,
    },
}
LBFGS = {"name": "lbfgs", "lr": 0.5, "max_iter": 3, "history_size": 4}
TORCH_ONLY = {
    "lbfgs": {"train.optimizer": LBFGS, "train.batch_size": 24},
    "lbfgs with groups": {
        "train.optimizer": {**LBFGS, "line_search": "none", "lr": 0.1},
        "train.batch_size": 24,
        "train.groups": [{"match": "dense_0.*", "frozen": True}],
        "train.ema": {"decay": 0.9},
    },
    "bfloat16": {"train.precision": "bfloat16"},
    "float16": {"train.precision": "float16", "train.clip_norm": 1.0},
    "float16 cnn with accumulation": {**CNN, "train.precision": "float16", "train.accumulate": 2},
    "bfloat16 transformer": {
        "data.path": "tokens.npz",
        "data.operators": [],
        "model": TRANSFORMER,
        "train.precision": "bfloat16",
    },
}
EVERY = {**SCHEDULES, **TRAINING, **TASKS, **CALLBACKS}

# Several options at once, chosen so that each meets others it could get in the way of.
MIXED = {
    "table with schedule, groups and average": {
        **TABLE,
        **_schedule("linear", warmup_steps=4, final_fraction=0.1),
        "train.groups": [{"match": "norm_*|*.bias", "weight_decay": 0.0, "lr_scale": 0.5}],
        "train.ema": {"decay": 0.9},
        "train.accumulate": 2,
        "train.loss": {"name": "cross_entropy", "label_smoothing": 0.1, "class_weights": "balanced"},
        **_optimizer("rmsprop", momentum=0.5, centered=True),
    },
    "two views of ragged sequences": {
        **TASKS["nt_xent with accumulation"],
        **_schedule("step", every=3, by="step"),
        **_optimizer("adagrad", lr_decay=0.1),
        "train.clip_value": 0.1,
    },
    "quantiles of records in a file": {
        **TASKS["records in an .npy file"],
        **_schedule("plateau", metric="val/loss", patience=1, factor=0.5, mode="max"),
        "model.head": "quantiles",
        "train.ema": {"decay": 0.8, "warmup": False},
        "train.clip_norm": 0.5,
    },
}


def make_tree(changes, *, backend):
    """Gives an experiment: the plain one, with changes by path."""
    tree = json.loads(json.dumps(PLAIN))
    tree["train"]["backend"] = backend
    for path, value in changes.items():
        *parts, field = path.split(".")
        place = tree
        for part in parts:
            place = place[part]
        place[field] = json.loads(json.dumps(value))
    return tree
