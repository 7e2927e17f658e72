import numpy as np
import pytest
from sklearn import metrics
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from trainwright.base.errors import DataError
from trainwright.validation import embedding as ours
from trainwright.validation import neighbours
from trainwright.validation.neighbours import nearest

RNG = np.random.default_rng(15)
CENTRES = RNG.normal(size=(4, 6))
Y = RNG.integers(0, 4, size=250)
Z = (CENTRES[Y] + RNG.normal(size=(250, 6))).astype(np.float32)
REFERENCE_Y = RNG.integers(0, 4, size=180)
REFERENCE = (CENTRES[REFERENCE_Y] + RNG.normal(size=(180, 6))).astype(np.float32)
WEIGHT = RNG.exponential(size=250)
OTHERS = {"reference": REFERENCE, "reference_y": REFERENCE_Y}


@pytest.fixture(params=[2**22, 500], ids=["one block", "several blocks"])
def _blocks(request, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK", request.param)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_agree_with_scikit_learn(metric, k):
    index = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(REFERENCE.astype(float))
    expected = index.kneighbors(Z.astype(float), return_distance=False)
    np.testing.assert_array_equal(nearest(Z, REFERENCE, k=k, metric=metric), expected)
    among = NearestNeighbors(n_neighbors=k, metric=metric, algorithm="brute").fit(Z.astype(float))
    expected = among.kneighbors(return_distance=False)
    np.testing.assert_array_equal(nearest(Z, Z, k=k, metric=metric, among_itself=True), expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("k", [1, 5])
def test_the_vote_of_neighbours_agrees_with_scikit_learn(metric, weight, k):
    model = KNeighborsClassifier(k, metric=metric, algorithm="brute").fit(
        REFERENCE.astype(float), REFERENCE_Y
    )
    expected = model.score(Z.astype(float), Y, sample_weight=weight)
    assert ours.knn_accuracy(Z, Y, k=k, metric=metric, weight=weight, **OTHERS) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_recall_finds_one_of_its_class_among_k(k):
    around = REFERENCE_Y[nearest(Z, REFERENCE, k=k)]
    expected = np.average([own in row for own, row in zip(Y, around, strict=True)], weights=WEIGHT)
    assert ours.recall_at(Z, Y, k=k, weight=WEIGHT, **OTHERS) == pytest.approx(expected)


def test_recall_grows_with_k_and_one_neighbour_is_a_vote():
    found = [ours.recall_at(Z, Y, k=k, **OTHERS) for k in (1, 2, 5)]
    assert found[0] < found[1] < found[2]
    assert found[0] == ours.knn_accuracy(Z, Y, k=1, **OTHERS)


def test_ties_go_to_the_earlier_neighbour_and_the_smaller_class():
    line = np.array([[1.0], [-1.0], [1.0], [3.0]])
    assert nearest(np.zeros((1, 1)), line, k=2, metric="euclidean").tolist() == [[0, 1]]
    tied = {"reference": line[:2], "reference_y": np.array([7, 3]), "metric": "euclidean", "k": 2}
    assert ours.knn_accuracy(np.zeros((1, 1)), np.array([3]), **tied) == 1.0


def test_fewer_neighbours_than_asked_for_are_all_of_them():
    assert nearest(Z, REFERENCE[:3], k=5).shape == (250, 3)
    with pytest.raises(DataError, match="no neighbour"):
        nearest(Z[:1], Z[:1], k=5, among_itself=True)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_silhouettes_agree_with_scikit_learn(metric):
    alone = np.where(np.arange(250) == 17, 9, Y)  # a class of one record
    for y in (Y, alone):
        expected = metrics.silhouette_samples(Z.astype(float), y, metric=metric)
        np.testing.assert_allclose(ours.silhouette_terms(Z, y, metric=metric), expected, atol=1e-7)
        whole = metrics.silhouette_score(Z.astype(float), y, metric=metric)
        assert ours.silhouette(Z, y, metric=metric) == pytest.approx(whole, abs=1e-7)


@pytest.mark.parametrize("y", [np.zeros(250, int), np.arange(250)])
def test_where_scikit_learn_refuses_the_silhouette_is_nan(y):
    assert np.isnan(ours.silhouette(Z, y))
    with pytest.raises(ValueError, match="Number of labels"):
        metrics.silhouette_score(Z, y)


def test_nan_comes_out_of_nan():
    broken, reference = Z.copy(), REFERENCE.copy()
    broken[3, 0], reference[5, 1] = np.nan, np.nan
    weight = (np.arange(250) != 3).astype(float)
    assert np.isnan(ours.knn_accuracy(broken, Y, **OTHERS))
    assert np.isfinite(ours.knn_accuracy(broken, Y, weight=weight, **OTHERS))
    assert np.isnan(ours.recall_at(Z, Y, k=1, reference=reference, reference_y=REFERENCE_Y))
    assert np.isnan(ours.silhouette(broken, Y))
    assert np.isnan(ours.project(broken)).all()


def test_the_projection_agrees_with_scikit_learn():
    expected = PCA(2, svd_solver="full").fit_transform(Z.astype(float))
    found = ours.project(Z)
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * signs, expected, atol=1e-6)
    np.testing.assert_allclose(ours.project(-Z), found * [-1, -1], atol=1e-9)
    assert (ours.project(Z[:, :1])[:, 1] == 0).all()


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(DataError, match="classes are integers"):
        ours.knn_accuracy(Z, Y[1:], **OTHERS)
    with pytest.raises(DataError, match="no distances"):
        ours.knn_accuracy(Z[:, 1:], Y, **OTHERS)
    with pytest.raises(ValueError, match="k 0"):
        ours.recall_at(Z, Y, k=0, **OTHERS)
    with pytest.raises(ValueError, match="metric"):
        nearest(Z, REFERENCE, k=1, metric="manhattan")
