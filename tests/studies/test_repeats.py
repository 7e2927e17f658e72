"""Repeats over seeds with real runs."""

import numpy as np
import pytest

from trainwright.base.errors import SpecError
from trainwright.experiment import run_experiment
from trainwright.spec.experiment import Experiment
from trainwright.store.overview import list_runs
from trainwright.studies.repeats import run_repeats

pytest.importorskip("torch")
SPLIT = {"method": "stratified", "val": 0.2, "test": 0.2}


def test_seeds_differ_and_share_their_records(bench):
    study = run_repeats(bench.experiment(SPLIT, seed=5), seeds=2, **bench.places)
    specs = [
        Experiment.model_validate(bench.registry.spec(bench.registry.run(one.trained.run)))
        for one in study.members
    ]
    assert [one.seed for one in specs] == [5, 6]
    assert [one.member.name for one in study.members] == ["seed 5", "seed 6"]
    first, second = study.members
    assert first.version.weights != second.version.weights
    assert len({bench.registry.run(one.trained.run).dataset for one in study.members}) == 1
    for name in ("val/loss", "test/loss"):
        one, other = first.metrics[name], second.metrics[name]
        assert one != other
        spread = study.summary()[name]
        assert spread.mean == pytest.approx((one + other) / 2)
        assert spread.std == pytest.approx(abs(one - other) / np.sqrt(2))
        assert spread.stderr == pytest.approx(abs(one - other) / 2)
    for one in study.members:
        assert one.metrics["test/loss"] == one.trained.scores["test/loss"]["value"]
        assert len(bench.registry.looks(one.trained.run)) == 1


def test_more_seeds_train_only_the_new_ones_in_the_same_study(bench):
    two = run_repeats(bench.experiment(SPLIT), seeds=2, **bench.places)
    three = run_repeats(bench.experiment(SPLIT), seeds=3, **bench.places)
    assert [one.recorded for one in three.members] == [True, True, False]
    assert two.id == three.id
    assert len(list_runs(bench.registry, study=three.id)) == 3


def test_one_fold_is_repeated_and_without_a_test_split_there_are_no_test_scores(bench):
    spec = bench.experiment({"method": "kfold", "folds": 3, "fold": 1})
    study = run_repeats(spec, seeds=2, **bench.places)
    for one in study.members:
        recorded = bench.registry.spec(bench.registry.run(one.trained.run))
        assert recorded["data"]["split"]["fold"] == 1
        assert not any(name.startswith("test/") for name in one.metrics)


@pytest.mark.parametrize("seeds", [1, 0, -3])
def test_too_few_seeds_are_refused(bench, seeds):
    with pytest.raises(SpecError, match=f"seeds: {seeds} tells nothing about the spread"):
        run_repeats(bench.experiment(), seeds=seeds, **bench.places)
    assert not bench.home.exists()


BOUNDS = "is not a whole number >= -9223372036854775808 and <= 9223372036854775807"


@pytest.mark.parametrize(
    ("seed", "ensemble", "text"),
    [
        (2**63, None, f"seed: {2**63} {BOUNDS}"),
        (-(2**63) - 1, None, f"seed: {-(2**63) - 1} {BOUNDS}"),
        (2**63 - 2, 3, f"seed: 3 seeds from it on go beyond {2**63 - 1}, the largest"),
    ],
)
def test_a_seed_that_no_catalogue_holds_is_refused(bench, seed, ensemble, text):
    with pytest.raises(SpecError, match=text):
        bench.experiment(SPLIT, seed=seed, ensemble=ensemble)
    assert bench.experiment(SPLIT, seed=seed + (1 if seed < 0 else -1), ensemble=ensemble)


def test_a_study_is_refused_before_its_first_run_where_its_last_seed_is_too_large(bench):
    with pytest.raises(SpecError, match=f"seed: {2**63} {BOUNDS}"):
        run_repeats(bench.experiment(SPLIT, seed=2**63 - 1), seeds=2, **bench.places)
    assert not bench.home.exists()


@pytest.mark.parametrize("seed", [-(2**63), 2**63 - 1])
def test_the_smallest_and_the_largest_seed_train(bench, seed):
    trained = run_experiment(bench.experiment(SPLIT, seed=seed, train={"epochs": 1}), **bench.places)
    assert bench.registry.run(trained.run).seed == seed
