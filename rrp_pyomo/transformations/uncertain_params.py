"""Which Params are uncertain, and how the labels of their sets go with them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pyomo.core.base.param import IndexedParam, Param, ParamData
from pyomo.core.expr.numvalue import value

from rrp_pyomo.data.validation import Labels, index_of
from rrp_pyomo.errors import InputError, UnknownLabelError, brief, warn
from rrp_pyomo.linalg import FloatArray
from rrp_pyomo.transformations.pyros_sets import from_pyros, is_of_pyros
from rrp_pyomo.uncertainty import CovarianceSet, DistributionSet, MeanSet, as_mean_set


class UncertainParams(NamedTuple):
    """One or several Params that lie in one set.

    Attributes
    ----------
    parts : dict of str to list or None
        By the name of each Param, its indices, None for a single number.
    params : tuple of ParamData
        One for each label of the set, in its order.
    places : tuple of (str, index)
        Where each of these is found: the name of its Param, and its index.
    set : MeanSet
    """

    parts: dict[str, list[Hashable] | None]
    params: tuple[Any, ...]
    places: tuple[tuple[str, Hashable], ...]
    set: MeanSet

    @property
    def name(self) -> str:
        return ", ".join(self.parts)

    def by_param(self, element: FloatArray) -> dict[str, pd.Series | float]:
        """An element of the set, by Param and index."""
        values = dict(zip(self.places, element.tolist(), strict=True))
        return {
            name: values[name, None]
            if indices is None
            else pd.Series([values[name, i] for i in indices], index_of(tuple(indices)), name=name)
            for name, indices in self.parts.items()
        }


def uncertain_params(model: Any, sets: Any) -> list[UncertainParams]:
    """The argument ``sets`` of the transformation, looked up in the model.

    Raises
    ------
    InputError
        Not a mapping, keys that are no mutable Params of the model or occur twice, values that are
        no sets of vectors, sets of another size.
    UnknownLabelError
        Labels of a set and indices of its Param that do not agree.
    """
    pairs = _pairs(sets)
    found = [_looked_up(model, key, given) for key, given in pairs]
    seen: dict[int, str] = {}
    for uncertain in found:
        for param in uncertain.params:
            if id(param) in seen:
                raise InputError(
                    f"{param.name} is in the set of {seen[id(param)]!r} and in that of "
                    f"{uncertain.name!r}; give each Param one set, an intersection `A & B` if need "
                    "be"
                )
            seen[id(param)] = uncertain.name
        _compare_with_nominal(uncertain)
    return found


def _pairs(sets: Any) -> list[tuple[Any, Any]]:
    if isinstance(sets, Mapping):
        pairs = list(sets.items())
    elif isinstance(sets, list | tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in sets):
        pairs = list(sets)
    else:
        raise InputError(
            f"sets are {brief(sets)}; expected a mapping from Params to their sets, such as "
            "{m.mu: Ball(mean, 0.01)}"
        )
    if not pairs:
        raise InputError("there is nothing in `sets`; give a set for at least one mutable Param")
    return pairs


def _looked_up(model: Any, key: Any, given: Any) -> UncertainParams:
    keys = key if isinstance(key, tuple | list) else (key,)
    components = [_param(model, part) for part in keys]
    parts: dict[str, list[Hashable] | None] = {}
    params: dict[tuple[str, Hashable], Any] = {}
    for component in components:
        if component.is_indexed():
            indices = list(component.index_set())
            parts[component.name] = indices
            params.update({(component.name, i): component[i] for i in indices})
        else:
            parts[component.name] = None
            params[component.name, None] = component
    places = tuple(params)
    name = ", ".join(parts)
    labels = _labels(components, places)
    known = _as_set(given, name, labels)
    single = len(components) == 1 and not components[0].is_indexed()
    order = [0] if single and known.size == 1 else _order(known.labels, labels, name)
    places = tuple(places[k] for k in order)
    return UncertainParams(parts, tuple(params[p] for p in places), places, known)


def _param(model: Any, key: Any) -> Any:
    """A mutable Param of the model, which may be given by its name."""
    component = key
    if isinstance(key, str):
        component = model.find_component(key)
        if component is None:
            known = [p.name for p in model.component_objects(Param)]
            raise UnknownLabelError("Param of the model", key, known)
    if not isinstance(component, IndexedParam | ParamData):
        raise InputError(
            f"sets have a {type(component).__name__} {brief(str(component))} as a key; expected a "
            "mutable Param of the model, its name, or several of them as a tuple (a dictionary "
            "takes no scalar Param as a key: give its name, or use a ComponentMap)"
        )
    if isinstance(component, IndexedParam) and not component.mutable:
        raise InputError(
            f"Param {component.name} is not mutable, so that expressions hold its numbers only; "
            "declare it with mutable=True"
        )
    if component.model() is not model.model():
        raise InputError(
            f"Param {component.name} belongs to another model than {model.name!r}; give a Param of "
            "the model that is transformed, or its name"
        )
    return component


def _labels(components: list[Any], places: tuple[tuple[str, Hashable], ...]) -> Labels:
    """What the labels of a set have to be: indices of a single Param, names of several."""
    if len(components) == 1:
        (component,) = components
        return tuple(i for _, i in places) if component.is_indexed() else (component.name,)
    return tuple(
        component.name if i is None else component[i].name
        for component in components
        for i in (component.index_set() if component.is_indexed() else (None,))
    )


def _as_set(given: Any, name: str, labels: Labels) -> MeanSet:
    if is_of_pyros(given):
        return from_pyros(given, labels, name)
    if isinstance(given, CovarianceSet | DistributionSet):
        kind = "covariances" if isinstance(given, CovarianceSet) else "distributions"
        raise InputError(
            f"{name} is given a {type(given).__name__}, a set of {kind}, for which rows that are "
            "affine in Params have no use; give a set of vectors, such as Box, Ball or Ellipsoid"
        )
    return as_mean_set(given)


def _order(given: Labels, wanted: Labels, name: str) -> list[int]:
    """For each label of the set, the place of its Param."""
    place, known = {label: k for k, label in enumerate(wanted)}, set(given)
    numbered = given == tuple(range(len(given)))
    if numbered and len(given) == len(wanted) and 0 not in place:
        return list(range(len(given)))  # an array, whose entries stand in the order of the Param
    for label in given:
        if label not in place:
            raise UnknownLabelError(f"label of the set of {name}: Param index", label, wanted)
    if missing := [label for label in place if label not in known]:
        raise InputError(
            f"the set of {name} has {len(given)} labels and lacks {str(missing[0])!r}"
            f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; give a set over all "
            f"{len(wanted)} indices, with a half-width of 0 where a number is certain"
        )
    return [place[label] for label in given]


def _compare_with_nominal(uncertain: UncertainParams) -> None:
    """Say so where the Params' own values are outside of their set."""
    values = [value(param, exception=False) for param in uncertain.params]
    if None in values:
        return
    if not uncertain.set.contains(np.array(values, float), tolerance=1e-6):
        warn(
            f"the value of {uncertain.name} is not an element of its set: the counterpart holds "
            "for the set alone, and says nothing about that value; compare the units and the "
            "centre of the set with the Param"
        )
