"""Draws the images of this example: discs and rings under uneven light, in noise.

Command: python examples/segmentation/make.py     (writes shapes.npz beside this file, always the same arrays)

An object is brighter than what is around it by less than the light differs from one corner to the other, and a disc is
as bright as a ring: no threshold finds the objects, and none could tell them apart.
"""

from pathlib import Path

import numpy as np

SIZE = 48  # pixels along each side
TRAIN, TEST = 320, 80
CONTRAST, LIGHT, NOISE = 40.0, 90.0, 12.0  # grey levels


def draw_image(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draws an image, uint8, and the class of each pixel: 0 background, 1 disc, 2 ring; both `(SIZE, SIZE)`."""
    down, right = np.mgrid[:SIZE, :SIZE]
    mask = np.zeros((SIZE, SIZE), dtype=np.uint8)
    for _ in range(random.integers(2, 5)):
        radius = random.uniform(6, 11)
        y, x = random.uniform(radius, SIZE - radius, size=2)
        distance = np.hypot(down - y, right - x)
        if (mask[distance < radius + 2] > 0).any():
            continue  # objects do not touch
        kind = random.integers(1, 3)
        inner = radius * random.uniform(0.4, 0.6) if kind == 2 else 0.0
        mask[(distance < radius) & (distance >= inner)] = kind
    angle = random.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * down + np.sin(angle) * right) / SIZE
    light = 80.0 + LIGHT * (slope - slope.min())
    image = light + CONTRAST * (mask > 0) + random.normal(0, NOISE, size=mask.shape)
    return np.clip(image, 0, 255).astype(np.uint8), mask


def make() -> dict[str, np.ndarray]:
    """Makes images `x`, `x_test`, `(records, 1, SIZE, SIZE)`, and masks `y`, `y_test`, `(records, SIZE, SIZE)`."""
    random = np.random.default_rng(0)
    images, masks = (
        np.stack(one) for one in zip(*(draw_image(random) for _ in range(TRAIN + TEST)), strict=True)
    )
    images = images[:, None]  # one channel
    return {"x": images[:TRAIN], "y": masks[:TRAIN], "x_test": images[TRAIN:], "y_test": masks[TRAIN:]}


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("shapes.npz"), **make())
