"""Graph convolutions against torch_geometric, and what must not change an answer."""

import copy
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("equinox")

import jax
import jax.numpy as jnp

from backends.making import make_blueprint, make_weights
from contracts.learner import EverySteps, assert_equal_bits, go_on
from models.graphs import FEATURES, NODES, SLOTS, make_constants, make_graph, make_graphs, pad
from trainwright.backends.equinox.backend import EquinoxBackend
from trainwright.backends.equinox.network import make_network
from trainwright.backends.torch.backend import TorchBackend
from trainwright.backends.torch.network import Network
from trainwright.base.errors import BackendError
from trainwright.data.graph import EncodedGraph
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.model import ModelSpec
from trainwright.spec.optimizer import SGD, Adam
from trainwright.spec.train import TrainSpec
from trainwright.train.feed import ArrayFeed
from trainwright.train.learner import Resolved

NODE = {"architecture": "gnn", "input": "node", "input_shape": [1], "node_features": FEATURES}
GRAPH = {**NODE, "input": "graph", "input_shape": [6, FEATURES + 1 + 2 * SLOTS]}
CONVOLUTIONS = ["gcn", "sage", "gat", "gin"]
BACKENDS = {"torch": TorchBackend, "equinox": EquinoxBackend}
EVALUATE = jax.jit(lambda network, x: network(x)[0])


def run(backend, blueprint, weights, x):
    if backend == "torch":
        with torch.inference_mode():
            return Network(blueprint, weights)(torch.from_numpy(x.copy()), training=False).numpy()
    return np.asarray(EVALUATE(make_network(blueprint, weights, seed=0), jnp.asarray(x)))


def geometric(convolution, weights, *, name="output", heads=1):
    """The layer of torch_geometric with the same weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        nn = pytest.importorskip("torch_geometric.nn")
    part = {key.removeprefix(f"{name}."): torch.from_numpy(array) for key, array in weights.items()}
    width, inputs = part["weight"].shape
    if convolution == "gcn":
        layer, state = nn.GCNConv(inputs, width), {"bias": part["bias"], "lin.weight": part["weight"]}
    elif convolution == "sage":
        layer = nn.SAGEConv(inputs, width)
        state = {
            "lin_l.weight": part["weight"],
            "lin_l.bias": part["bias"],
            "lin_r.weight": part["own.weight"],
        }
    elif convolution == "gat":
        layer = nn.GATConv(inputs, width // heads, heads=heads)
        state = {
            "lin.weight": part["weight"],
            "bias": part["bias"],
            "att_src": part["source"][None],
            "att_dst": part["target"][None],
        }
    else:
        layer = nn.GINConv(torch.nn.Linear(inputs, width), train_eps=True)
        state = {"nn.weight": part["weight"], "nn.bias": part["bias"], "eps": part["epsilon"]}
    layer.load_state_dict(state)
    return layer


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_convolution_is_that_of_torch_geometric(backend, convolution, directed):
    graph = make_graph(directed=directed)
    spec = ModelSpec(**NODE, convolution=convolution, hidden_dims=[], output_dim=6)
    blueprint = build_blueprint(spec, constants=make_constants(convolution, graph))
    weights = make_weights(blueprint)
    layer = geometric(convolution, weights)
    arrows = torch.from_numpy(np.stack([graph.source, graph.target])).long()
    with torch.no_grad():
        theirs = layer(torch.from_numpy(graph.features), arrows).numpy()
    chosen = np.array([[3], [8], [0], [3]], dtype=np.int32)  # node 8 has no edges
    ours = run(backend, blueprint, weights, chosen)
    np.testing.assert_allclose(ours, theirs[chosen[:, 0]], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_layers_over_many_graphs_are_those_of_torch_geometric_over_each_alone(backend, convolution):
    graphs = make_graphs()
    heads = 2 if convolution == "gat" else 1
    spec = ModelSpec(
        **GRAPH,
        convolution=convolution,
        hidden_dims=[8],
        output_dim=3,
        pooling="mean",
        activation="identity",
        **({"heads": heads} if heads > 1 else {}),
    )
    blueprint = build_blueprint(spec)
    weights = make_weights(blueprint)
    ours = run(backend, blueprint, weights, pad(graphs))
    layer = geometric(convolution, weights, name="graph_0", heads=heads)
    for number in range(len(graphs)):
        one = graphs[np.array([number])]
        with torch.no_grad():
            x = layer(torch.from_numpy(one.values), torch.from_numpy(one.arrows.T.copy()).long()).numpy()
        if convolution == "gin":
            x = x @ weights["graph_0_out.weight"].T + weights["graph_0_out.bias"]
        wanted = x.mean(0) @ weights["output.weight"].T + weights["output.bias"]
        np.testing.assert_allclose(ours[number], wanted, rtol=5e-5, atol=5e-6)


@pytest.mark.parametrize("kind", ["pair", "arrow"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_pair_is_answered_by_what_its_two_nodes_have_become(backend, kind):
    graph = make_graph()
    model = {**NODE, "input": kind, "input_shape": [2], "convolution": "sage", "hidden_dims": [6]}
    blueprint = build_blueprint(
        ModelSpec(**model, output_dim=3, activation="identity"), constants=make_constants("sage", graph)
    )
    weights = make_weights(blueprint)
    arrows = torch.from_numpy(np.stack([graph.source, graph.target])).long()
    with torch.no_grad():
        nodes = geometric("sage", weights, name="graph_0")(torch.from_numpy(graph.features), arrows).numpy()
    pairs = np.array([[0, 1], [8, 3], [2, 2]], dtype=np.int32)
    one, other = nodes[pairs[:, 0]], nodes[pairs[:, 1]]
    joined = np.concatenate([one, other] if kind == "arrow" else [one * other, np.abs(one - other)], axis=1)
    wanted = joined @ weights["output.weight"].T + weights["output.bias"]
    found = run(backend, blueprint, weights, pairs)
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)
    turned = run(backend, blueprint, weights, pairs[:, ::-1].copy())
    assert (np.abs(turned - found).max() < 1e-6) == (kind == "pair")


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
@pytest.mark.parametrize("convolution", CONVOLUTIONS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_neither_padding_nor_the_order_of_nodes_changes_an_answer(backend, convolution, pooling):
    graphs, numbers = make_graphs(), np.random.default_rng(1)
    model = {"convolution": convolution, "hidden_dims": [8], "output_dim": 3, "pooling": pooling}
    blueprint = build_blueprint(ModelSpec(**GRAPH, **model))
    weights = make_weights(blueprint)
    plain = run(backend, blueprint, weights, pad(graphs))
    wide = build_blueprint(ModelSpec(**{**GRAPH, "input_shape": [9, FEATURES + 1 + 2 * 5]}, **model))
    dirty = pad(graphs, 9, 5)
    dirty[:, :, :FEATURES] += 7.0 * (
        1 - dirty[:, :, FEATURES, None]
    )  # what stands in the padding means nothing
    np.testing.assert_allclose(run(backend, wide, weights, dirty), plain, rtol=1e-5, atol=1e-6)

    moved = copy.deepcopy(graphs)
    node = arrow = 0
    for size, length in zip(graphs.nodes, graphs.lengths, strict=True):
        order = numbers.permutation(size)
        moved.values[node : node + size][order] = graphs.values[node : node + size]
        moved.arrows[arrow : arrow + length] = order[graphs.arrows[arrow : arrow + length]]
        node, arrow = node + size, arrow + length
    np.testing.assert_allclose(run(backend, blueprint, weights, pad(moved)), plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_direction_of_an_edge_matters_where_it_has_one(backend):
    weights, outputs = None, []
    for directed in (True, False):
        constants = make_constants("sage", make_graph(directed=directed))
        spec = ModelSpec(**NODE, convolution="sage", hidden_dims=[8], output_dim=3)
        blueprint = build_blueprint(spec, constants=constants)
        weights = weights or make_weights(blueprint)
        outputs.append(run(backend, blueprint, weights, np.arange(NODES, dtype=np.int32)[:, None]))
    assert np.abs(outputs[0] - outputs[1]).max() > 0.01


@pytest.mark.parametrize("kind", ["node", "graph"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_batch_normalisation_counts_nodes_and_no_padding(backend, kind):
    """Against torch's own module over the nodes that are there."""
    graphs, graph = make_graphs(), make_graph()
    base = NODE if kind == "node" else GRAPH
    spec = ModelSpec(
        **base, convolution="sage", hidden_dims=[4], output_dim=2, normalization="batch", pooling=None
    )
    constants = make_constants("sage", graph) if kind == "node" else None
    blueprint = build_blueprint(spec, constants=constants)
    weights = make_weights(blueprint)
    weights["graph_0.weight"] *= 0  # so that each node has its own features only
    x = np.arange(NODES, dtype=np.int32)[:, None] if kind == "node" else pad(graphs)
    values = graph.features if kind == "node" else graphs.values
    if kind == "graph":
        x[:, :, :FEATURES] += 7.0 * (1 - x[:, :, FEATURES, None])  # in the padding

    module = torch.nn.BatchNorm1d(4)
    module.load_state_dict(
        {
            name: torch.from_numpy(weights[f"norm_0.{name}"])
            for name in ("weight", "bias", "running_mean", "running_var")
        },
        strict=False,
    )
    module.train()
    module(torch.from_numpy(values) @ torch.from_numpy(weights["graph_0.own.weight"]).T)
    if backend == "torch":
        network = Network(blueprint, weights)
        network(torch.from_numpy(x.copy()), training=True)
        after = network.arrays()
    else:
        after = jax.jit(lambda n, x: n(x, position=(0, 0))[1])(make_network(blueprint, weights, seed=0), x)
    for name in ("running_mean", "running_var"):
        wanted = getattr(module, name).numpy()
        np.testing.assert_allclose(np.asarray(after[f"norm_0.{name}"]), wanted, rtol=1e-5, atol=1e-6)


def test_a_network_over_nodes_without_their_graph_is_refused():
    blueprint = build_blueprint(ModelSpec(**NODE, hidden_dims=[4], output_dim=2))
    weights = blueprint.initial(0)
    with pytest.raises(BackendError, match="needs the graph"):
        Network(blueprint, weights)
    with pytest.raises(BackendError, match="needs the graph"):
        EVALUATE(make_network(blueprint, weights, seed=0), jnp.zeros((1, 1), dtype=jnp.int32))


VARIANTS = {
    "gcn of nodes": {"convolution": "gcn", "dropout": 0.5},
    "gin of nodes with batch norm": {"convolution": "gin", "dropout": 0.2, "normalization": "batch"},
    "gat of graphs": {"convolution": "gat", "heads": 2, "dropout": 0.3},
    "gin of graphs with batch norm": {"convolution": "gin", "normalization": "batch"},
    "sage of graphs": {"convolution": "sage", "residual": True, "pooling": "max"},
}
END = 6


@pytest.mark.parametrize("backend", BACKENDS)
class TestLearner:
    """What the contract of all learners says, for records with edges."""

    def make(self, backend, variant, *, seed=3, batch_size=4, accumulate=1, **train):
        nodes = "nodes" in variant
        options = {"hidden_dims": [6, 6], "output_dim": 3, **VARIANTS[variant]}
        model = ModelSpec(**(NODE if nodes else GRAPH), **options)
        constants = make_constants(str(model.convolution)) if nodes else None
        x = np.arange(NODES, dtype=np.int32)[:, None] if nodes else pad(make_graphs(NODES))
        y = np.arange(NODES) % 3
        spec = TrainSpec(
            backend=backend,
            batch_size=batch_size,
            accumulate=accumulate,
            epochs=2,
            loss="cross_entropy",
            **{"optimizer": Adam(name="adam", lr=0.02), **train},
        )
        feed = ArrayFeed({"x": x, "y": y}, batch_size=batch_size * accumulate, seed=1)
        task = ModelTask(build_blueprint(model, constants=constants), spec, 2)
        learner = BACKENDS[backend]().prepare(task, feed, seed=seed, run_on=Resolved())
        return learner, feed

    @pytest.mark.parametrize("variant", ["gcn of nodes", "gat of graphs", "gin of graphs with batch norm"])
    def test_resumed_at_any_step_it_ends_in_the_same_bits_told_often_or_not(self, backend, variant):
        whole, feed = self.make(backend, variant)
        whole.train(feed, EverySteps(3, end=END), go_on)
        often, _ = self.make(backend, variant)
        states = []

        def tell(one):
            one.predict(feed.arrays["x"])
            states.append(one.state())
            return go_on(one)

        often.train(feed, EverySteps(1, end=END), tell)
        assert_equal_bits(often.state(), whole.state())
        for state in states[:-1]:
            other, _ = self.make(backend, variant)
            other.load_state(state)
            other.train(feed, EverySteps(3, end=END), go_on)
            assert_equal_bits(other.state(), whole.state())

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_it_learns_and_says_of_each_record_the_same_in_any_company(self, backend, variant):
        learner, feed = self.make(backend, variant, batch_size=NODES)
        x, y = feed.arrays["x"], feed.arrays["y"]

        def loss():
            z = learner.predict(x)["logits"]
            return (np.log(np.exp(z).sum(1)) - z[np.arange(len(y)), y]).mean()

        before = loss()
        learner.train(feed, EverySteps(60, end=60), go_on)
        assert loss() < before - 0.1
        alone = np.concatenate([learner.predict(x[i : i + 1])["logits"] for i in range(len(x))])
        np.testing.assert_allclose(alone, learner.predict(x)["logits"], rtol=1e-5, atol=1e-6)
        assert learner.predict(x[:0])["logits"].shape == (0, 3)

    @pytest.mark.parametrize(
        "variant", ["gcn of nodes", pytest.param("gat of graphs", marks=pytest.mark.slow)]
    )
    def test_accumulated_batches_drop_the_same_and_make_the_step_of_one_large_batch(self, backend, variant):
        plain = {"optimizer": SGD(name="sgd", lr=0.5)}
        small, feed = self.make(backend, variant, batch_size=2, accumulate=2, **plain)
        large, large_feed = self.make(backend, variant, batch_size=4, **plain)
        small.train(feed, EverySteps(1, end=END), go_on)
        large.train(large_feed, EverySteps(1, end=END), go_on)
        for name, array in large.weights().items():
            np.testing.assert_allclose(small.weights()[name], array, atol=1e-5, err_msg=name)

    def test_a_plain_module_sees_the_graph(self, backend):
        blueprint = make_blueprint({**NODE, "convolution": "gcn", "hidden_dims": [4], "output_dim": 2})
        module = BACKENDS[backend]().module(blueprint, seed=1)
        x = np.array([[2], [0]], dtype=np.int32)
        wanted = run(backend, blueprint, blueprint.initial(1), x)
        if backend == "torch":
            found = module.eval()(torch.from_numpy(x)).detach().numpy()
        else:
            found = np.asarray(module(jnp.asarray(x))[0])
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_larger_graph_than_any_in_training_can_be_asked_about():
    spec = ModelSpec(**NODE, convolution="gcn", hidden_dims=[4], output_dim=2)
    large = make_graph(nodes=40, edges=80, seed=5)
    weights = make_weights(build_blueprint(spec, constants=make_constants("gcn")))
    blueprint = build_blueprint(spec, constants=make_constants("gcn", large))
    x = np.arange(40, dtype=np.int32)[:, None]
    left, right = (run(backend, blueprint, weights, x) for backend in BACKENDS)
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
    assert isinstance(large, EncodedGraph) and left.shape == (40, 2)
