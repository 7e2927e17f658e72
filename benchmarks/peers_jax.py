"""The work done by hand in JAX, step by step and as a scan, and by Keras."""

import os

import numpy as np
from workloads import DECAY, LR, WORKLOADS


def forward(work):
    """Gives the network as a function of weights by name and inputs; convolutions are left out."""
    import jax
    import jax.numpy as jnp

    def dense(w, name, x):
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)

    def norm(w, name, x):
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(var + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def mlp(w, x):
        for number in range(len(WORKLOADS[work.name]["model"]["hidden_dims"])):
            x = jax.nn.relu(dense(w, f"dense_{number}", x))
        return dense(w, "output", x)

    def transformer(w, x):
        x = dense(w, "stem", x.swapaxes(1, 2)) + w["position.table"]
        for number in range(2):
            y = norm(w, f"norm_{number}_attention", x)
            parts = (dense(w, f"attention_{number}.{part}", y) for part in ("query", "key", "value"))
            query, key, value = (one.reshape(*one.shape[:2], 4, 16) for one in parts)
            mixed = jax.nn.dot_product_attention(query, key, value).reshape(x.shape)
            x = x + dense(w, f"attention_{number}.out", mixed)
            y = jax.nn.gelu(
                dense(w, f"dense_{number}_in", norm(w, f"norm_{number}_dense", x)), approximate=False
            )
            x = x + dense(w, f"dense_{number}_out", y)
        return dense(w, "output", norm(w, "norm_output", x.mean(1)))

    call = transformer if work.name == "transformer" else mlp

    def loss_of(w, x, y):
        found = call(w, x)
        if work.loss == "mse":
            return jnp.mean((found - y) ** 2)
        return -jnp.take_along_axis(jax.nn.log_softmax(found), y[:, None], 1).mean()

    return loss_of


def step_of(work):
    import jax
    import optax

    optimizer, loss_of = optax.adamw(LR, weight_decay=DECAY), forward(work)

    def step(carry, x, y):
        weights, state = carry
        loss, gradients = jax.value_and_grad(loss_of)(weights, x, y)
        updates, state = optimizer.update(gradients, state, weights)
        return (optax.apply_updates(weights, updates), state), loss

    return step, optimizer, loss_of


def bare(work, watch):
    """An epoch as one compiled scan."""
    import jax
    import jax.numpy as jnp

    step, optimizer, loss_of = step_of(work)
    weights = {name: jnp.asarray(array) for name, array in work.weights.items()}
    x, y = jnp.asarray(work.x), jnp.asarray(work.y)
    epoch_of = jax.jit(
        lambda carry, order: jax.lax.scan(lambda c, rows: step(c, x[rows], y[rows]), carry, order),
        donate_argnums=0,
    )
    last_of = jax.jit(lambda carry, rows: step(carry, x[rows], y[rows]), donate_argnums=0)
    validate = jax.jit(loss_of)
    val = tuple(jnp.asarray(array) for array in work.val)
    carry, full = (weights, optimizer.init(weights)), len(work.x) // work.batch
    for epoch in range(work.epochs):
        order = work.order(epoch).astype(np.int32)
        carry, losses = epoch_of(carry, order[: full * work.batch].reshape(full, work.batch))
        total = float(losses.sum()) * work.batch
        if full * work.batch < len(order):
            carry, loss = last_of(carry, order[full * work.batch :])
            total += float(loss) * (len(order) - full * work.batch)
        float(validate(carry[0], *val))
        watch.epoch(total / len(work.x))


def step_by_step(work, watch):
    """Equinox as its documentation shows it: a compiled step, called from Python."""
    import equinox as eqx
    import jax.numpy as jnp

    step, optimizer, loss_of = step_of(work)
    weights = {name: jnp.asarray(array) for name, array in work.weights.items()}
    carry, jitted, validate = (
        (weights, optimizer.init(weights)),
        eqx.filter_jit(step),
        eqx.filter_jit(loss_of),
    )
    for epoch in range(work.epochs):
        order, total = work.order(epoch), 0.0
        for begin in range(0, len(order), work.batch):
            rows = order[begin : begin + work.batch]
            carry, loss = jitted(carry, work.x[rows], work.y[rows])
            total += loss * len(rows)
        float(validate(carry[0], *work.val))
        watch.epoch(total / len(order))


def keras(work, watch, *, backend):
    """`keras.Model.fit`, on arrays that are given to it epoch by epoch, in the workload's order."""
    os.environ["KERAS_BACKEND"] = backend
    if backend == "torch":
        import torch

        torch.set_num_threads(1)
    import keras as k

    widths = WORKLOADS[work.name]["model"]["hidden_dims"]
    layers = [k.layers.Input(work.x.shape[1:])]
    if work.name == "cnn":
        layers += [k.layers.Permute((2, 3, 1))]
        for width in widths:
            layers += [k.layers.Conv2D(width, 3, padding="same", activation="relu"), k.layers.MaxPooling2D(2)]
        layers += [k.layers.GlobalAveragePooling2D(), k.layers.Dense(10)]
    else:
        layers += [k.layers.Dense(width, activation="relu") for width in widths] + [k.layers.Dense(1)]
    net = k.Sequential(layers)
    values = list(work.weights.values())
    net.set_weights([one.transpose(2, 3, 1, 0) if one.ndim == 4 else one.T for one in values])
    loss = "mse" if work.loss == "mse" else k.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(k.optimizers.AdamW(LR, weight_decay=DECAY), loss)
    for epoch in range(work.epochs):
        order = work.order(epoch)
        heard = net.fit(work.x[order], work.y[order], batch_size=work.batch, shuffle=False, verbose=0)
        net.evaluate(*work.val, batch_size=len(work.val[0]), verbose=0)
        watch.epoch(heard.history["loss"][-1])
