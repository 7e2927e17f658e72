import time

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from trainwright.base.errors import DataError
from trainwright.base.random import stream
from trainwright.ops.images import (
    ColorJitter,
    HorizontalFlip,
    RandomCrop,
    RandomErasing,
    RandomRotation,
    VerticalFlip,
    rotate,
)

S = stream(0, "augment", "0")
N = 4000
RECORDS = np.arange(N)
X = np.random.default_rng(0).normal(size=(N, 2, 6, 5)).astype(np.float32)


def run(op, x=X):
    return op(x, stream=S, records=RECORDS[: len(x)])


def same(a, b):
    return (a == b).reshape(len(a), -1).all(axis=1)


@pytest.mark.parametrize(("kind", "axis"), [(HorizontalFlip, 3), (VerticalFlip, 2)])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1.0])
def test_a_part_p_of_the_images_is_mirrored_and_the_others_are_not(kind, axis, p):
    found = run(kind(p=p))
    mirrored = same(found, np.flip(X, axis))
    assert (mirrored | same(found, X)).all()
    assert mirrored.mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / N))


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
@pytest.mark.parametrize("padding", [1, 3])
def test_a_crop_is_a_piece_of_the_padded_image_at_every_place_as_often(mode, padding):
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    padded = np.pad(X, border, mode="constant" if mode == "zeros" else "reflect")
    found, places = run(RandomCrop(padding, mode=mode)), 2 * padding + 1
    counts = np.zeros((places, places), dtype=int)
    for down in range(places):
        for right in range(places):
            counts[down, right] = same(found, padded[:, :, down : down + 6, right : right + 5]).sum()
    assert counts.sum() == N
    expected = N / places**2
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_a_mirrored_border_is_not_wider_than_the_image():
    with pytest.raises(DataError, match="smaller padding"):
        run(RandomCrop(5, mode="reflect"))


@pytest.mark.parametrize("size", [4, 5])
@pytest.mark.parametrize("turns", [-2, -1, 0, 1, 2])
def test_a_turn_by_right_angles_is_that_of_numpy(size, turns):
    x = np.random.default_rng(0).normal(size=(6, 3, size, size)).astype(np.float32)
    found = rotate(x, np.full(6, 90.0 * turns, np.float32))
    np.testing.assert_allclose(found, np.rot90(x, turns, axes=(2, 3)), atol=1e-5)


@pytest.mark.parametrize("angle", [-33.0, 10.0, 170.0])
@pytest.mark.parametrize("shape", [(9, 9), (6, 11)])
def test_a_turn_by_any_angle_agrees_with_scipy(angle, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    turn, centre = np.array([[c, s], [-s, c]]), (np.array(shape) - 1) / 2
    # SciPy takes what is beyond the last pixel for outside at once; a border of zeros lets it fade as ours does.
    wide = affine_transform(np.pad(x, 2), turn, offset=centre + 2 - turn @ (centre + 2), order=1)
    found = rotate(x[None, None], np.array([angle], np.float32))[0, 0]
    np.testing.assert_allclose(found, wide[2:-2, 2:-2], atol=1e-5)


def test_angles_are_spread_evenly_up_to_the_largest():
    ramp = np.broadcast_to(np.arange(-20.0, 21.0, dtype=np.float32), (N, 1, 41, 41)).copy()[:2000]
    found = run(RandomRotation(40.0), ramp)[:, 0]
    # The ramp x turned by an angle has the slopes cos along x and sin along y.
    angle = np.rad2deg(np.arctan2(found[:, 21, 20] - found[:, 19, 20], found[:, 20, 21] - found[:, 20, 19]))
    assert 39.0 < np.abs(angle).max() <= 40.001
    assert angle.std() == pytest.approx(80 / np.sqrt(12), rel=0.05) and abs(angle.mean()) < 2.5


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    ("area", "shape"), [(0.1, (28, 28)), (0.4, (20, 40)), (0.9, (30, 10)), (0.1, (1, 50))]
)
def test_a_rectangle_of_the_area_is_erased_in_a_part_p_of_the_images(p, area, shape):
    x = np.random.default_rng(0).uniform(1, 2, size=(1000, 2, *shape)).astype(np.float32)
    found = run(RandomErasing(p=p, area=area), x)
    gone = found[:, 0] == 0
    assert np.array_equal(gone, found[:, 1] == 0) and np.array_equal(found[found != 0], x[found != 0])
    hit = gone.any(axis=(1, 2))
    assert hit.mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 1000))
    box = gone.any(axis=2).sum(axis=1) * gone.any(axis=1).sum(axis=1)
    assert np.array_equal(box, gone.sum(axis=(1, 2)))  # it is a whole rectangle
    if p:
        assert box[hit].mean() / np.prod(shape) == pytest.approx(area, rel=0.05)


def test_erased_rectangles_lie_everywhere_and_have_many_shapes():
    x = np.ones((N, 1, 28, 28), np.float32)
    gone = run(RandomErasing(p=1.0, area=0.1), x)[:, 0] == 0
    often = gone.mean(axis=0)
    assert often.min() > 0.0005 and often.max() < 0.3
    np.testing.assert_allclose(often, often[::-1, ::-1], atol=0.06)
    tall, wide = gone.any(axis=2).sum(axis=1), gone.any(axis=1).sum(axis=1)
    assert (tall > 2 * wide).mean() > 0.1 and (wide > 2 * tall).mean() > 0.1


def test_brightness_multiplies_an_image():
    factor = run(ColorJitter(brightness=0.5)) / X
    np.testing.assert_allclose(factor, factor[:, :1, :1, :1] + 0 * X, rtol=1e-4)
    each = factor[:, 0, 0, 0]
    assert (
        each.min() >= 0.4999
        and each.max() <= 1.5001
        and each.std() == pytest.approx(1 / np.sqrt(12), rel=0.05)
    )


def test_contrast_stretches_an_image_about_its_mean():
    found = run(ColorJitter(contrast=0.25)).astype(np.float64)
    axes = (1, 2, 3)
    np.testing.assert_allclose(found.mean(axes), X.mean(axes, dtype=np.float64), atol=1e-6)
    ratio = found.std(axes) / X.std(axes, dtype=np.float64)
    assert ratio.min() >= 0.7499 and ratio.max() <= 1.2501
    assert ratio.std() == pytest.approx(0.5 / np.sqrt(12), rel=0.05)


ALL = [
    HorizontalFlip(),
    VerticalFlip(),
    RandomCrop(4, mode="reflect"),
    RandomRotation(20),
    RandomErasing(),
    ColorJitter(0.2, 0.2),
]


@pytest.mark.parametrize("op", ALL, ids=lambda op: type(op).__name__)
def test_what_is_no_image_is_refused(op):
    with pytest.raises(DataError, match=f"{type(op).__name__} is for images"):
        run(op, X[:, 0])


@pytest.mark.parametrize("op", ALL, ids=lambda op: type(op).__name__)
def test_a_thousand_small_images_take_no_time_to_speak_of(op):
    x = np.zeros((1000, 1, 28, 28), np.float32)

    def once():
        begin = time.process_time()
        run(op, x)
        return time.process_time() - begin

    assert min(once() for _ in range(5)) < 0.05


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        (HorizontalFlip, {"p": 1.5}),
        (VerticalFlip, {"p": -0.1}),
        (RandomErasing, {"p": float("nan")}),
        (RandomErasing, {"area": 1.0}),
        (RandomCrop, {"padding": 0}),
        (RandomCrop, {"padding": 1, "mode": "wrap"}),
        (RandomRotation, {"degrees": 0.0}),
        (RandomRotation, {"degrees": 181.0}),
        (ColorJitter, {}),
        (ColorJitter, {"brightness": 1.5}),
        (ColorJitter, {"contrast": -0.5}),
    ],
)
def test_arguments_that_make_no_sense_are_refused(kind, args):
    with pytest.raises(ValueError):
        kind(**args)
