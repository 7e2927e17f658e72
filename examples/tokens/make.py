"""Draws the words of this example: brackets that are balanced, or nearly.

Command: python examples/tokens/make.py     (writes brackets.npz beside this file, always the same arrays)

Tokens: 1 opens, 2 closes, 3 to 5 are letters that mean nothing. A wrong word is a balanced one in which an opening and
a closing bracket have changed places, so that both kinds of word hold the same numbers of each token.
"""

from pathlib import Path

import numpy as np

OPEN, CLOSE, LETTERS = 1, 2, (3, 4, 5)
PAIRS = (2, 8)  # fewest and most pairs of brackets in a word
TRAIN, TEST = 6000, 1000


def is_balanced(word: np.ndarray) -> bool:
    """Says whether each closing bracket closes one that is open, and none stays open."""
    depth = np.cumsum((word == OPEN).astype(int) - (word == CLOSE))
    return bool(depth[-1] == 0 and depth.min() >= 0)


def draw_word(random: np.random.Generator, *, balanced: bool) -> np.ndarray:
    """Draws a word, shape `(length,)`."""
    pairs = int(random.integers(PAIRS[0], PAIRS[1] + 1))
    brackets, opened, closed = [], 0, 0
    while closed < pairs:
        opens = opened < pairs and (opened == closed or random.random() < 0.5)
        brackets.append(OPEN if opens else CLOSE)
        opened, closed = opened + opens, closed + (not opens)
    word = np.array(brackets)
    while is_balanced(word) != balanced:
        word = np.array(brackets)
        one, other = random.choice(np.flatnonzero(word == OPEN)), random.choice(np.flatnonzero(word == CLOSE))
        word[[one, other]] = word[[other, one]]
    letters = random.integers(0, 5)
    return np.insert(
        word, random.integers(0, len(word) + 1, size=letters), random.choice(LETTERS, size=letters)
    )


def make() -> dict[str, np.ndarray]:
    """Makes tokens one word after another, the lengths of the words, and 1 for each balanced word; train and test."""
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for end, count in (("", TRAIN), ("_test", TEST)):
        y = random.permutation(np.arange(count) % 2)
        words = [draw_word(random, balanced=bool(one)) for one in y]
        arrays[f"x{end}"] = np.concatenate(words).astype(np.uint8)
        arrays[f"x{end}_lengths"] = np.array([len(word) for word in words])
        arrays[f"y{end}"] = y
    return arrays


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("brackets.npz"), **make())
