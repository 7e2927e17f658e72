import ast

from mutants.mutate import FILES, ROOT, mutants

SOURCE = '''
@dataclass(frozen=True)
def keep(a: int = 3) -> bool:
    """Says."""
    if not a < 3 and a:
        sync(a)
        raise ValueError(f"{a + 1}")
    return a + 1
'''


def test_each_mutant_changes_one_thing():
    found = {name.partition(" | ")[2]: ast.unparse(tree) for name, tree in mutants(SOURCE)}
    assert len(set(found.values())) == len(found) == 11
    assert "if not a <= 3 and a" in found["a < 3 -> a <= 3"]
    assert "if a < 3 and a" in found["not a < 3 -> a < 3"]
    assert "if not a < 3 or a" in found["not a < 3 and a -> not a < 3 or a"]
    assert "return a - 1" in found["a + 1 -> a - 1"]
    assert "sync(a)" not in found["sync(a) -> pass"]
    for text in found.values():
        assert "frozen=True" in text and ("f'{a + 1}'" in text or "raise" not in text)


def test_every_file_and_test_it_names_is_there():
    for place, tests in FILES.items():
        assert (ROOT / "src/trainwright" / place).is_file()
        assert all((ROOT / one).is_file() for one in tests)
