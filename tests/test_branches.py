"""What is said of branches at the end of `make branches`."""

from typing import Any

from tests.branches import summary


def file(branches: tuple[int, list[list[int]]], lines: tuple[int, int] = (1, 0)) -> dict[str, Any]:
    taken, missing = branches
    counts = {"covered_branches": taken, "missing_branches": len(missing)}
    return {
        "missing_branches": missing,
        "summary": counts | dict(zip(("covered_lines", "missing_lines"), lines, strict=True)),
    }


def test_all_branches_are_counted_and_files_with_few_have_a_line() -> None:
    files = {
        "enough.py": file((9, [[5, 7]])),
        "none.py": file((0, [[3, 4], [3, 0]]), (0, 7)),
        "few.py": file((8, [[1, 2]])),
        "straight.py": file((0, []), (0, 3)),
    }

    assert list(summary({"files": files})) == [
        "80 % of 21 branches, 16 % of 12 lines",
        "   0 %  none.py: 3->end, 3->4",
        "  88 %  few.py: 1->2",
    ]


def test_one_branch_of_many_that_is_not_taken_is_not_rounded_away() -> None:
    assert next(summary({"files": {"a.py": file((9_999, [[1, 2]]))}})) == "99 % of 10000 branches, 100 % of 1 lines"


def test_a_line_can_be_read_however_much_is_missing() -> None:
    [_, line] = summary({"files": {"a.py": file((0, [[number, number + 1] for number in range(1, 100)]))}})

    assert line == "   0 %  a.py: 1->2, 2->3, 3->4, 4->5, 5->6, 6->7, 7->8, 8->9, ..."
