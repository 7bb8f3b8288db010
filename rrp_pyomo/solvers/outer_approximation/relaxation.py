"""A conic form as a polyhedron with room for cuts: linear rows, and where cones may be cut.

    minimise    cost'v + constant,   v = (x̂, y)
    subject to  lower ≤ v ≤ upper,   row_lower ≤ R v ≤ row_upper,
                c_t² ≤ a_t b_t,  a_t, b_t ≥ 0          for products t of affine functions of v
                members of exponential, power and semidefinite cones

Second-order cones are disaggregated (Vielma, Dunning, Huchette & Lubin, 2017): ‖c‖² ≤ a b holds
where c_j² ≤ a y_j and Σ y_j ≤ b for some y. A tangent of each small cone together is a combination
of exponentially many tangents of the large one, so that few cuts are needed. A convex quadratic
objective ½ x̂'Px̂ = Σ (F_j x̂)² is Σ y_j with (F_j x̂)² ≤ y_j.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from rrp_pyomo.forms.conic import (
    EXPONENTIAL,
    NONNEGATIVE,
    POWER,
    SECOND_ORDER,
    ZERO,
    Cone,
    ConicForm,
)
from rrp_pyomo.forms.rows import IntArray
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.solvers.conic.quadratics import square_root


@dataclass(frozen=True, eq=False)
class Functions:
    """Affine functions G v + g."""

    G: sp.csr_matrix
    g: FloatArray

    def at(self, v: FloatArray) -> FloatArray:
        """Their values."""
        values: FloatArray = self.G @ v + self.g
        return values  # NaN where a variable in it is

    @property
    def size(self) -> int:
        """How many."""
        return self.g.size

    def above(self, other: Functions) -> Functions:
        """These, and below them others of the same variables."""
        return stacked([self, other], max(self.G.shape[1], other.G.shape[1]))

    def __getitem__(self, rows: IntArray | slice) -> Functions:
        return Functions(self.G[rows], self.g[rows])

    def __add__(self, other: Functions) -> Functions:
        return Functions((self.G + other.G).tocsr(), self.g + other.g)

    def times(self, factors: FloatArray | float) -> Functions:
        """Each multiplied by its factor."""
        factors = np.broadcast_to(np.asarray(factors, float), self.g.shape)
        return Functions((sp.diags(factors) @ self.G).tocsr(), factors * self.g)

    def summed(self, into: IntArray, size: int) -> Functions:
        """Their sums by place."""
        S = sp.csr_matrix((np.ones(into.size), (into, np.arange(into.size))), (size, into.size))
        return Functions((S @ self.G).tocsr(), S @ self.g)

    def widened(self, columns: int) -> Functions:
        """The same functions of more variables."""
        G = sp.csr_matrix((self.G.data, self.G.indices, self.G.indptr), (self.size, columns))
        return Functions(G, self.g)


def stacked(parts: list[Functions], columns: int) -> Functions:
    """All of them, one below the other."""
    if not parts:
        return Functions(sp.csr_matrix((0, columns)), np.zeros(0))
    wide = [part.widened(columns) for part in parts]
    G = sp.vstack([part.G for part in wide], format="csr")
    return Functions(G, np.concatenate([part.g for part in wide]))


class Products(NamedTuple):
    """c² ≤ a b with a, b ≥ 0, and what each of them is of the form's cones.

    Attributes
    ----------
    a, b, c : Functions
    head : array
        The first row of the cone in the form; −1 for a part of the objective.
    member : array
        The row of c there.
    kind : array
        How a and b follow from the cone's rows s: ``PLAIN`` a = b = s₀, ``TURNED`` a = s₀ + s₁,
        b = s₀ − s₁, ``SWAPPED`` the other way round, and ``OBJECTIVE``.
    """

    a: Functions
    b: Functions
    c: Functions
    head: IntArray
    member: IntArray
    kind: IntArray
    length: IntArray


#: What is no more than rounding away from the apex of a cone.
APEX = 1e-6

PLAIN, TURNED, SWAPPED, OBJECTIVE = range(4)


class Members(NamedTuple):
    """Cones of one other kind: their members, one row a cone, and their first rows in the form."""

    cone: Cone
    rows: slice
    functions: Functions


@dataclass(frozen=True, eq=False)
class Relaxation:
    """The polyhedron and the cones that it leaves out.

    Attributes
    ----------
    columns : int
        Variables of the form, which come first.
    """

    columns: int
    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    rows: Functions
    row_upper: FloatArray
    products: Products
    members: tuple[Members, ...]

    @property
    def is_exact(self) -> bool:
        """Whether nothing but linear rows was there."""
        return not self.products.head.size and not self.members

    def rules_out(self, x: FloatArray) -> bool:
        """Whether known variables, the others being NaN, make a product c² ≤ 0 with c ≠ 0.

        Such integers may have no multipliers that prove them infeasible: b ≥ c²/a is only far away.
        """
        v = np.concatenate([x, np.full(self.cost.size - x.size, np.nan)])
        a, b, c = (part.at(v) for part in (self.products.a, self.products.b, self.products.c))
        flat = (a <= 0.0) | (b <= 0.0)  # false where they are not known
        return bool((flat & (np.abs(c) > APEX)).any())

    def lifted(self, x: FloatArray) -> FloatArray:
        """The point v over a point of the form, with the smallest y."""
        v = np.concatenate([x, np.zeros(self.cost.size - x.size)])
        split = np.flatnonzero((self.products.length > 1) | (self.products.kind == OBJECTIVE))
        a, c = self.products.a[split].at(v), self.products.c[split].at(v)
        v[x.size :] = c * c / np.where(a > 0.0, a, 1.0)
        return v


def relax(form: ConicForm) -> Relaxation:
    """The relaxation of a form; rows say G v + g ≥ 0, and ≤ ``row_upper``."""
    slacks = Functions((-form.A).tocsr(), form.b)
    rows: list[Functions] = []
    tops: list[FloatArray] = []
    members: list[Members] = []
    pieces: list[_Piece] = []
    turned = [
        np.arange(g.rows.start, g.rows.stop, g.dimension)
        for g in form.groups
        if g.product is not None
    ]
    for cone, own in form.blocks():
        mine = slacks[own]
        if cone.kind in (ZERO, NONNEGATIVE):
            rows.append(mine)
            tops.append(np.full(mine.size, 0.0 if cone.kind == ZERO else np.inf))
        elif cone.kind == SECOND_ORDER:
            heads = np.arange(own.start, own.stop, cone.dimension)
            is_turned = np.isin(heads, np.concatenate([np.zeros(0), *turned]))
            for which in (True, False):
                chosen = heads[is_turned == which]
                if chosen.size:
                    pieces.extend(_pieces(slacks, chosen, cone.dimension, which))
        else:
            members.append(Members(cone, own, mine))
            signed = mine[_nonnegative_members(cone)]
            rows.append(signed)
            tops.append(np.full(signed.size, np.inf))
    if form.P is not None:
        pieces.append(_objective(form))
    return _assembled(form, rows, tops, members, pieces)


def _nonnegative_members(cone: Cone) -> IntArray:
    """The places of those members that are nonnegative in the cone, by its faces."""
    if cone.kind == EXPONENTIAL:
        own = np.array([1, 2])
    elif cone.kind == POWER:
        own = np.array([0, 1])
    else:  # the diagonal of a matrix
        own = np.cumsum(np.arange(1, int(np.sqrt(2 * cone.dimension)) + 1)) - 1
    places: IntArray = (np.arange(cone.count)[:, None] * cone.dimension + own).ravel()
    return places


class _Piece(NamedTuple):
    """Products of cones of one shape: ‖c‖² ≤ a b, the parts of c one after the other."""

    a: Functions
    b: Functions
    c: Functions
    head: IntArray
    member: IntArray
    kind: int
    length: int


def _pieces(slacks: Functions, heads: IntArray, dimension: int, turned: bool) -> list[_Piece]:
    first = slacks[heads]
    if not turned:
        members = heads[:, None] + np.arange(1, dimension)
        c = slacks[members.ravel()]
        return [_Piece(first, first, c, heads, members.ravel(), PLAIN, dimension - 1)]
    second = slacks[heads + 1]
    a, b = first + second, first + second.times(-1.0)
    members = heads[:, None] + np.arange(2, dimension)
    found = []
    # A constant head bounds each part's square by itself.
    constant = np.asarray(abs(b.G).sum(axis=1)).ravel() == 0.0
    for kind in (SWAPPED, TURNED):
        which = np.flatnonzero(constant == (kind == SWAPPED))
        if which.size:
            x, y = (b, a) if kind == SWAPPED else (a, b)
            mine = members[which].ravel()
            c = slacks[mine]
            found.append(_Piece(x[which], y[which], c, heads[which], mine, kind, dimension - 2))
    return found


def _objective(form: ConicForm) -> _Piece:
    full = form.P + sp.triu(form.P, 1).T
    F = square_root((0.5 * full).tocoo())
    assert F is not None, "the objective was found convex when the model was read"
    n = form.q.size
    one = Functions(sp.csr_matrix((1, n)), np.ones(1))
    none = np.full(1, -1, np.intp)
    return _Piece(
        one, one, Functions(F, np.zeros(F.shape[0])), none,
        np.full(F.shape[0], -1, np.intp), OBJECTIVE, F.shape[0],
    )  # fmt: skip


def _assembled(
    form: ConicForm,
    rows: list[Functions],
    tops: list[FloatArray],
    members: list[Members],
    pieces: list[_Piece],
) -> Relaxation:
    n = form.q.size
    total = n + sum(p.c.size for p in pieces if _is_split(p))
    cost = np.zeros(total)
    cost[:n] = form.q
    lower = np.concatenate([np.full(n, -np.inf), np.zeros(total - n)])
    upper = np.full(total, np.inf)
    parts: dict[str, list[Functions]] = {"a": [], "b": [], "c": []}
    where: dict[str, list[IntArray]] = {"head": [], "member": [], "kind": [], "length": []}
    next_column = n
    for piece in pieces:
        count = piece.head.size
        own = np.repeat(np.arange(count), piece.length)
        rows.append(piece.a)
        if piece.kind in (TURNED, SWAPPED):
            rows.append(piece.b)
        if piece.length == 1 and piece.kind == PLAIN:
            rows += [piece.a + piece.c, piece.a + piece.c.times(-1.0)]
            tops += [np.full(count, np.inf)] * 3
            continue
        tops += [np.full(count, np.inf)] * (1 if piece.kind in (PLAIN, OBJECTIVE) else 2)
        if not piece.length:
            continue
        a, b = piece.a[own], piece.b
        if _is_split(piece):
            columns = np.arange(next_column, next_column + piece.c.size)
            next_column += piece.c.size
            G = sp.csr_matrix(
                (np.ones(columns.size), (np.arange(columns.size), columns)), (columns.size, total)
            )
            y = Functions(G, np.zeros(columns.size))
            if piece.kind == OBJECTIVE:
                cost[columns] = 1.0
            else:
                rows.append(b.widened(total) + y.summed(own, count).times(-1.0))
                tops.append(np.full(count, np.inf))
            b = y
        for name, functions in (("a", a), ("b", b), ("c", piece.c)):
            parts[name].append(functions)
        where["head"].append(piece.head[own])
        where["member"].append(piece.member)
        where["kind"].append(np.full(own.size, piece.kind, np.intp))
        where["length"].append(np.full(own.size, piece.length, np.intp))
    a, b, c = (stacked(parts[name], total) for name in "abc")
    none = np.zeros(0, np.intp)
    products = Products(a, b, c, *(np.concatenate([none, *where[name]]) for name in where))
    linear = stacked(rows, total)
    top = np.concatenate([np.zeros(0), *tops])
    rest = _tighten(linear, top, lower, upper)
    return Relaxation(
        columns=n,
        cost=cost,
        lower=lower,
        upper=upper,
        rows=linear[rest],
        row_upper=top[rest],
        products=products,
        members=tuple(m._replace(functions=m.functions.widened(total)) for m in members),
    )


def _is_split(piece: _Piece) -> bool:
    return piece.length > 1 or piece.kind == OBJECTIVE


def _tighten(rows: Functions, top: FloatArray, lower: FloatArray, upper: FloatArray) -> IntArray:
    """Tighten bounds by rows of one variable; returns the other rows."""
    G = rows.G
    single = np.flatnonzero(np.diff(G.indptr) == 1)
    places = G.indptr[single]
    column, factor = G.indices[places], G.data[places]
    usable = factor != 0.0
    single, column, factor = single[usable], column[usable], factor[usable]
    limit = -rows.g[single] / factor
    least = (factor > 0.0) | (top[single] == 0.0)
    most = (factor < 0.0) | (top[single] == 0.0)
    np.maximum.at(lower, column[least], limit[least])
    np.minimum.at(upper, column[most], limit[most])
    rest = np.ones(rows.size, bool)
    rest[single] = False
    return np.flatnonzero(rest)
