"""CSV files that are damaged, and others that say the same in another way."""

from __future__ import annotations

import csv
import io

import numpy as np

LABELS = [
    "[/x]", "gold [usd]", "[bold]x[/bold]", ":smile:", "$x_{$", "$\\frac{1}$", "a\nb", 'say "hi"',
    "a,b", "<script>", "ä€ω", "x" * 200, "%s", "{0}", "\\n", "NA", "nan", "None", "1", "1.0",
    "=1+1",
    "#", "a\tb", "'", "\u200b", "[", "]", "[]", "\\[b]", "&amp;", "RF", "date", "-", "0x10",
    "é\u0301",
]  # fmt: skip

CELLS = [
    "", " ", "abc", "nan", "NaN", "inf", "-inf", "1e400", "1,5", "0x1", "1_000", "1e-400", "--1",
    "5%",
    "0.1 0.2", "١", "NA", "None", "TRUE", "2001-01-01", "1e", "'0.1", "\x00", "-1.5", "1.0e+00",
    "+0.01",
]  # fmt: skip
DATES = [
    "", "2001-02-30", "1/2/2001", "20010131", "2001-01-31T00:00+01:00", "2001-01-31T00:00Z", "now",
    "2262-04-12", "1600-01-01", "9999-12-31", "0001-01-01", "2001-01", "2001W05", "978220800",
    "NaT",
    "2001-01-31 25:00", "31.01.2001", "-2001-01-01", "2001-01-31", "12:00",
]  # fmt: skip


def damage(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with something wrong in it."""
    kinds = [
        _flipped, _cut, _cells, _dates, _header, _rows, _columns, _percent, _encoded, _delimited,
        _twice,
    ]  # fmt: skip
    return kinds[int(rng.integers(len(kinds)))](content, rng)


def _flipped(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 30))):
        changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    return bytes(changed)


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content)))
    return content[:at] if rng.random() < 0.7 else content[at:]


def _table(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode())))


def _written(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cells(content: bytes, rng: np.random.Generator) -> bytes:
    rows = _table(content)
    for _ in range(int(rng.integers(1, 3))):
        row = rows[int(rng.integers(1, len(rows)))]
        row[int(rng.integers(1, len(row)))] = CELLS[int(rng.integers(len(CELLS)))]
    return _written(rows)


def _dates(content: bytes, rng: np.random.Generator) -> bytes:
    rows = _table(content)
    value = DATES[int(rng.integers(len(DATES)))]
    for k in range(1, len(rows)):
        if rng.random() < 0.1 or k == 1:
            rows[int(rng.integers(1, len(rows)))][0] = value
    return _written(rows)


def _header(content: bytes, rng: np.random.Generator) -> bytes:
    rows = _table(content)
    name = LABELS[int(rng.integers(len(LABELS)))] if rng.random() < 0.7 else rows[0][1]
    for _ in range(int(rng.integers(1, 3))):
        rows[0][int(rng.integers(len(rows[0])))] = name
    return _written(rows if rng.random() < 0.8 else rows[1:])


def _rows(content: bytes, rng: np.random.Generator) -> bytes:
    rows = _table(content)
    k = int(rng.integers(1, len(rows)))
    kind = rng.integers(5)
    if kind == 0:
        rows.insert(k, list(rows[k]))
    elif kind == 1:
        del rows[k]
    elif kind == 2:
        rows[1:] = rows[:0:-1]
    elif kind == 3:
        rows[k] = rows[k][: int(rng.integers(len(rows[k])))]
    else:
        rows[k] += ["0.1"] * int(rng.integers(1, 3))
    return _written(rows)


def _columns(content: bytes, rng: np.random.Generator) -> bytes:
    rows = _table(content)
    k = int(rng.integers(1, len(rows[0])))
    kind = rng.integers(4)
    for row in rows:
        if kind == 0:
            del row[k]
        elif kind == 1:
            row.append(row[k])
        elif kind == 2 and row is not rows[0]:
            row[k] = "0.01"
        elif kind == 3:
            row[1:] = row[1:2]
    return _written(rows)


def _percent(content: bytes, rng: np.random.Generator) -> bytes:
    rows, factor = _table(content), float(rng.choice([100.0, 1e4, 1e200, 1e-200, 0.0, -1.0]))
    for row in rows[1:]:
        row[1:] = [repr(float(v) * factor) for v in row[1:]]
    return _written(rows)


def _encoded(content: bytes, rng: np.random.Generator) -> bytes:
    text = content.decode().replace("A", "Ä")
    return text.encode(str(rng.choice(["utf-16", "latin-1", "utf-32", "cp037", "utf-7"])))


def _delimited(content: bytes, rng: np.random.Generator) -> bytes:
    return content.replace(b",", str(rng.choice([";", "\t", " ", "|", ",,", ""])).encode())


def _twice(content: bytes, rng: np.random.Generator) -> bytes:
    return content + content


def restate(content: bytes, rng: np.random.Generator, is_budgets: bool) -> tuple[str, bytes]:
    """Another file with the same meaning, and what was done."""
    rows = _table(content)
    numbers = [[row[0], *(f"{float(v):.17e}" for v in row[1:])] for row in rows[1:]]
    quoted = io.StringIO()
    csv.writer(quoted, quoting=csv.QUOTE_ALL).writerows(rows)
    lines = content.splitlines(keepends=True)
    k = int(rng.integers(1, len(lines)))
    ways = {
        "carriage returns": content.replace(b"\n", b"\r\n"),
        "a byte order mark": b"\xef\xbb\xbf" + content,
        "quotes": quoted.getvalue().encode(),
        "blank lines": b"".join([*lines[:k], b"\n", *lines[k:], b"\n\n"]),
        "no last newline": content.rstrip(b"\n"),
        "exponents": _written([rows[0], *numbers]),
        "spaces": content.replace(b",", b", "),
        "no name for the first column": _written([["", *rows[0][1:]], *rows[1:]]),
    }
    if not is_budgets:
        stamped = [[f"{row[0]}T00:00:00", *row[1:]] for row in rows[1:]]
        ways["midnights"] = _written([rows[0], *stamped])
        order = [0, *(rng.permutation(len(rows[0]) - 1) + 1).tolist()]
        ways["another order"] = _written([[row[j] for j in order] for row in rows])
    else:
        ways["another order"] = _written([rows[0], *rows[:0:-1]])
    how = list(ways)[int(rng.integers(len(ways)))]
    return how, ways[how]
