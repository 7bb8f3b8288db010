"""How pages of docs/ become notebooks, run, and are adapted to the site and to readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from adapt import PATH_CELL, SHELL, for_download, for_site
from execute import agree, run_page
from formulas import with_scripts
from nbformat.v4 import new_output
from notebooks import notebook

DOCS = Path(__file__).parents[2] / "docs"
PAGE = """# A page

See [another](other.md#part), [a script](../tool/x.py) and [elsewhere](https://example.org/a.md).

```python
print(f"{2 / 3:.3f}")
```

```text
0.667
```

![a line](line.svg)

<details>

<summary>Solution</summary>

```sh
echo hidden
```

</details>

```text
no output: code stands between
```
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A repository with a page, what it links to and what it draws."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "x.py").write_text("1\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n\n## Part\n")
    (tmp_path / "docs" / "line.svg").write_text("<svg/>")
    (tmp_path / "docs" / "page.md").write_text(PAGE)
    return tmp_path / "docs" / "page.md"


def test_blocks_become_cells_with_what_the_page_says_they_print() -> None:
    cells = notebook(PAGE).cells
    assert [cell.cell_type for cell in cells] == [
        "markdown",
        "code",
        "markdown",
        "code",
        "markdown",
    ]
    assert cells[1].metadata["printed"] == "0.667\n"
    assert cells[3].source == "%%bash -e\necho hidden"
    assert "printed" not in cells[3].metadata
    assert "no output" in cells[4].source


def test_solutions_are_folded_in_the_notebook() -> None:
    folded = [bool(cell.metadata.get("jupyter")) for cell in notebook(PAGE).cells]
    assert folded == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("said", "printed", "same"),
    [
        ("w  0.667", "w 0.667\n", True),
        ("0.667", "0.669", True),
        ("0.667", "0.670", False),
        ("1e-9", "3e-9", True),
        ("1e-9", "1e-8", False),
        ("25 trials", "26 trials", False),
        ("mean 0.1", "median 0.1", False),
        ("-0.5", "0.5", False),
        ("S1V1 2.00", "S1V2 2.00", False),
        ("0.1", "0.1 0.2", False),
        ("nan", "0.1", False),
    ],
)
def test_numbers_may_differ_by_two_units_of_their_last_digit(
    said: str, printed: str, same: bool
) -> None:
    assert agree(said, printed) is same


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ("```python\nprint(1)\n```\n\n```text\n1\n```\n", None),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "and its code printed"),
        ("```python\n1 + 1\n```\n\n```text\n2\n```\n", None),
        ("```python\n1 / 0\n```\n\n```python\nprint(1)\n```\n", "ZeroDivisionError"),
        ("```sh\nfalse\necho after\n```\n", "failed"),
        ("# No code\n", None),
    ],
)
def test_a_page_that_fails_or_prints_something_else_is_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, fault: str | None
) -> None:
    monkeypatch.chdir(tmp_path)  # a page runs in its folder
    path = tmp_path / "page.md"
    path.write_text(page)
    faults = [str(found) for found in run_page(path).faults]
    assert len(faults) == (fault is not None)
    assert all(fault in found and "page.md:" in found for found in faults)


def test_a_notebook_to_download_has_all_it_needs_and_no_outputs(place: Path) -> None:
    page = notebook(PAGE)
    page.cells[1].outputs = [{"output_type": "stream", "name": "stdout", "text": "0.667\n"}]
    cells = for_download(page, place).cells
    text = "\n".join(cell.source for cell in cells)
    assert "[another](other.ipynb)" in text
    assert "a script and [elsewhere](https://example.org/a.md)" in text
    assert "(data:image/svg+xml;base64," in text
    assert cells[1].source == PATH_CELL  # for the cell in bash
    assert not any(cell.get("outputs") for cell in cells)
    assert page.cells[1].outputs  # the page's own are kept


def test_a_notebook_without_bash_has_no_cell_for_it(place: Path) -> None:
    cells = for_download(notebook(PAGE.replace("```sh", "```json")), place).cells
    assert PATH_CELL not in [cell.source for cell in cells]


def test_directives_are_no_part_of_a_notebook_to_download(place: Path) -> None:
    page = notebook("# A\n\n```{toctree}\nx\n```\n\nafter\n\n```python\n1\n```\n")
    text = "\n".join(cell.source for cell in for_download(page, place).cells)
    assert "toctree" not in text
    assert "after" in text


def test_files_outside_docs_can_be_downloaded_from_the_site(place: Path, tmp_path: Path) -> None:
    """The pages run beside the site, where the rest of the repository is not."""
    pages = tmp_path / "out" / "pages"
    pages.mkdir(parents=True)
    copy = pages / "page.md"
    copy.write_text(PAGE)
    (pages / "other.md").write_text("# Other\n")
    text = "\n".join(cell.source for cell in for_site(notebook(PAGE), copy, pages, tmp_path).cells)
    assert "[a script](path:/_files/tool/x.py)" in text
    assert "[another](other.md#part)" in text
    assert "%%bash" not in text
    assert (pages / "_files" / "tool" / "x.py").read_text() == "1\n"


def test_the_site_knows_the_cells_of_a_shell(place: Path) -> None:
    page = for_site(notebook(PAGE), place, place.parent, place.parent)
    tagged = [cell.source for cell in page.cells if SHELL in cell.metadata.get("tags", [])]
    assert tagged == ["echo hidden"]


def test_values_that_a_page_does_not_show_are_not_on_the_site(place: Path) -> None:
    page = notebook("# A\n\n```python\n1\n```\n\n```python\n2\n```\n\n```text\n2\n```\n")
    for cell, value in zip(page.cells[1:], "12", strict=True):
        cell.outputs = [new_output("display_data", data={"text/plain": value})]
    unsaid, said = for_site(page, place, place.parent, place.parent).cells[1:]
    assert not unsaid.outputs
    assert said.outputs


@pytest.mark.parametrize(
    ("text", "breaks"),
    [
        ("InputError: budgets sum to 1.5, expected 1", True),
        ("{'a': 1, 'b': 2}\n[1 2]", True),
        ("weight  0.5\nbound   0.6", False),
        ("point\n0   0.6", False),
        ("[[1 2]\n [3 4]]", False),
    ],
)
def test_lines_of_sentences_break_those_of_tables_do_not(
    place: Path, text: str, breaks: bool
) -> None:
    page = notebook("# A\n\n```python\nprint(text)\n```\n")
    page.cells[1].outputs = [new_output("stream", name="stdout", text=text)]
    cell = for_site(page, place, place.parent, place.parent).cells[1]
    assert ("sentences" in cell.metadata.get("tags", [])) is breaks


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("x_i (Σx)_i ≤ b_ij", "x<sub>i</sub> (Σx)<sub>i</sub> ≤ b<sub>ij</sub>"),
        ("ω_max and w_h’Σw_h", "ω<sub>max</sub> and w<sub>h</sub>’Σw<sub>h</sub>"),
        ("‖Σ^Δ‖_F, Σ_μ²", "‖Σ<sup>Δ</sup>‖<sub>F</sub>, Σ<sub>μ</sub>²"),
        ("e_i^{w_i} + 2^n", "e<sub>i</sub><sup>w<sub>i</sub></sup> + 2<sup>n</sup>"),
        ("x_{t−1}, b^(1−α)", "x<sub>t−1</sub>, b<sup>(1−α)</sup>"),
    ],
)
def test_indices_and_powers_are_set(text: str, html: str) -> None:
    assert with_scripts(text) == html


@pytest.mark.parametrize("name", ["weight_set", "l2_squared", "risk_free", "n_jobs", "rrp_pyomo.x"])
def test_names_with_underscores_are_no_formulas(name: str) -> None:
    assert with_scripts(name) == name


def test_a_downloaded_notebook_runs_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the environment of its kernel is not on the path."""
    client = pytest.importorskip("nbclient")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    page = notebook("# A\n\n```sh\nrrp --help\n```\n\n```python\nimport rrp_pyomo\n```\n")
    cells = client.execute(
        for_download(page, tmp_path / "page.md"), cwd=str(tmp_path), timeout=120
    ).cells
    assert "backtest" in "".join(output.text for output in cells[2].outputs)
