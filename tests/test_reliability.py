"""docs/reliability.md: every row names a test that exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| (?P<fault>[^|]+) \| (?P<result>[^|]+) \| `(?P<file>[\w/]+)` `(?P<test>test_\w+)` \|$", re.MULTILINE
)


def named_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_row_of_the_fault_table_names_a_test_that_exists():
    rows = list(ROW.finditer(TABLE))
    assert len(rows) >= 60
    for row in rows:
        assert row["test"] in named_tests(ROOT / "tests" / f"{row['file']}.py"), row[0]


def test_no_row_is_written_so_that_it_is_not_checked():
    lines = [line for line in TABLE.splitlines() if line.startswith("| ") and "`test_" in line]
    assert len(lines) == len(list(ROW.finditer(TABLE)))


def test_no_fault_stands_twice():
    faults = [row["fault"] for row in ROW.finditer(TABLE)]
    assert len(faults) == len(set(faults))
