"""One noun's values in memory: committed ones, indexed as the port says they can be searched, and drafts over them."""

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from xingliu.control.errors import BrokenRule
from xingliu.control.nouns import DEVICE_RULE, ID_PREFIX, Noun, check_values, checked_text
from xingliu.workloads.model import Lease

Claim = tuple[object, ...]


def claims(noun: Noun, value: Any) -> list[Claim]:
    """What this value has and no other may have: its unique attributes and, for an open lease, its GPUs."""
    made: list[Claim] = [(names, *(getattr(value, name) for name in names)) for names in noun.unique]
    if isinstance(value, Lease) and value.released_us is None:
        made += [(DEVICE_RULE, value.node, gpu) for gpu in value.gpus]
    return made


class Table:
    """Committed values of one noun."""

    def __init__(self, noun: Noun) -> None:
        self.noun = noun
        self.rows: dict[str, Any] = {}
        self.holders: dict[Claim, str] = {}
        self._order: list[str] = []
        self._index: dict[str, defaultdict[object, set[str]]] = {name: defaultdict(set) for name in noun.searchable - {ID_PREFIX}}

    def copy(self) -> "Table":
        twin = Table(self.noun)
        twin.rows, twin.holders, twin._order = dict(self.rows), dict(self.holders), list(self._order)
        for name, groups in self._index.items():
            twin._index[name].update({wanted: set(keys) for wanted, keys in groups.items()})
        return twin

    def apply(self, changes: Mapping[str, Any]) -> None:
        """None stands for a value that goes. What goes lets go of its claims before what comes takes its own."""
        for key, value in changes.items():
            self._take_out(key, for_good=value is None)
        for key, value in changes.items():
            if value is not None:
                self._put_in(key, value)

    def _take_out(self, key: str, *, for_good: bool) -> None:
        if key not in self.rows:
            return
        old = self.rows[key]
        for name, groups in self._index.items():
            groups[getattr(old, name)].discard(key)
        for claim in claims(self.noun, old):
            del self.holders[claim]
        if for_good:
            del self.rows[key]
            del self._order[bisect_left(self._order, key)]

    def _put_in(self, key: str, value: Any) -> None:
        if key not in self.rows:
            insort(self._order, key)
        self.rows[key] = value
        for name, groups in self._index.items():
            groups[getattr(value, name)].add(key)
        for claim in claims(self.noun, value):
            self.holders[claim] = key

    def matching(self, where: Mapping[str, object]) -> Sequence[str]:
        """The ids of those that match, in order. Raises KeyError."""
        groups = [self._group(name, wanted) for name, wanted in where.items() if name != ID_PREFIX]
        prefix = str(where.get(ID_PREFIX, ""))
        if not groups:
            return self._beginning(prefix) if prefix else self._order
        smallest, *rest = sorted(groups, key=len)
        return sorted(key for key in smallest if key.startswith(prefix) and all(key in group for group in rest))

    def _group(self, name: str, wanted: object) -> AbstractSet[str]:
        groups = self._index[name]
        if not isinstance(wanted, frozenset):
            return groups.get(wanted, frozenset())
        return frozenset[str]().union(*(groups.get(each, frozenset()) for each in wanted))

    def _beginning(self, prefix: str) -> list[str]:
        start = end = bisect_left(self._order, prefix)
        while end < len(self._order) and self._order[end].startswith(prefix):
            end += 1
        return self._order[start:end]


class Draft:
    """The port's Collection over a table, with changes of one transaction that nobody else sees yet."""

    def __init__(self, table: Table) -> None:
        self._table, self._noun = table, table.noun
        self.changes: dict[str, Any] = {}
        self._holders: dict[Claim, str | None] = {}

    def get(self, key: str) -> Any:
        return self.changes[key] if key in self.changes else self._table.rows.get(key)

    def find(
        self,
        where: Mapping[str, object] | None = None,
        *,
        after: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Any]:
        keys = self._matching(where or {})
        start, end = 0, len(keys)
        if after is not None and newest_first:
            end = bisect_left(keys, after)
        elif after is not None:
            start = bisect_right(keys, after)
        if limit is not None:
            start, end = (max(start, end - limit), end) if newest_first else (start, min(end, start + limit))
        found = [self.get(key) for key in keys[start:end]]
        return found[::-1] if newest_first else found

    def _matching(self, where: Mapping[str, object]) -> Sequence[str]:
        keys = self._table.matching(where)
        if not self.changes:
            return keys
        changed = [key for key, value in self.changes.items() if value is not None and _matches(key, value, where)]
        return sorted([key for key in keys if key not in self.changes] + changed)

    def tally(self, by: str, where: Mapping[str, object] | None = None) -> dict[object, int]:
        if by not in self._noun.searchable:
            raise KeyError(by)
        return dict(Counter(getattr(value, by) for value in self.find(where)))

    def put(self, *values: Any) -> None:
        check_values(self._noun, values)
        keyed = [(getattr(value, self._noun.key), value) for value in values]
        for key, value in keyed:
            self._check_fixed(key, value)
            self._let_go(key)
        for key, value in keyed:
            self._claim(key, value)
            self.changes.pop(key, None)
            self.changes[key] = value

    def delete(self, key: str) -> None:
        self._let_go(checked_text(key))
        self.changes.pop(key, None)
        self.changes[key] = None

    def _check_fixed(self, key: str, value: Any) -> None:
        """What never changes need not be written again, so a caller that changes it would be told of nothing."""
        old = self.get(key)
        changed = [] if old is None else [name for name in self._noun.fixed if getattr(old, name) != getattr(value, name)]
        assert not changed, f"{self._noun.name} {key}: {', '.join(sorted(changed))} never change"

    def _let_go(self, key: str) -> None:
        old = self.get(key)
        if old is not None:
            self._holders.update(dict.fromkeys(claims(self._noun, old)))

    def _claim(self, key: str, value: Any) -> None:
        for claim in claims(self._noun, value):
            holder = self._holders[claim] if claim in self._holders else self._table.holders.get(claim)
            if holder is not None and holder != key:
                raise BrokenRule(DEVICE_RULE if claim[0] == DEVICE_RULE else f"{self._noun.name}: {claim} is taken")
            self._holders[claim] = key


def _matches(key: str, value: Any, where: Mapping[str, object]) -> bool:
    return all(_has(key, value, name, wanted) for name, wanted in where.items())


def _has(key: str, value: Any, name: str, wanted: object) -> bool:
    if name == ID_PREFIX:
        return key.startswith(str(wanted))
    held = getattr(value, name)
    return held in wanted if isinstance(wanted, frozenset) else bool(held == wanted)


def check_references(drafts: Mapping[str, Draft], nouns: Iterable[Noun]) -> None:
    """Whether everything that a draft's values name exists, as databases do at commit. Raises BrokenRule."""
    nouns = list(nouns)
    for noun in nouns:
        for key, value in drafts[noun.name].changes.items():
            if value is not None:
                _check_named(drafts, noun, value)
            else:
                _check_unnamed(drafts, nouns, noun.name, key)


def _check_named(drafts: Mapping[str, Draft], noun: Noun, value: Any) -> None:
    for attribute, target in noun.references.items():
        named = getattr(value, attribute)
        if named is not None and drafts[target].get(named) is None:
            raise BrokenRule(f"{noun.name} name {target} that exist; there is no {named}")


def _check_unnamed(drafts: Mapping[str, Draft], nouns: Iterable[Noun], gone: str, key: str) -> None:
    for noun in nouns:
        for attribute, target in noun.references.items():
            if target == gone and drafts[noun.name].find({attribute: key}, limit=1):
                raise BrokenRule(f"{noun.name} name {gone} that exist; {key} was to go")
