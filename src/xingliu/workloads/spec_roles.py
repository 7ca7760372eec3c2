"""The keys `roles` and `stop_when` of a job file."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from xingliu.kernel.keytables import Bad, Entry, Key, Shape, Table
from xingliu.kernel.problems import show_value
from xingliu.kernel.shapes import list_of, mapping_of, name, script, whole
from xingliu.workloads.model import ResourceRequest, RoleSpec

ROLES_MAX = 16
IN_EACH_ROLE = ("nodes", "resources", "run")
TAKEN = {
    "main": "that is what the only one of a job without roles is called",
    "master": "XL_MASTER_ADDR is taken",
    "node": "XL_NODE_IPS is taken",
}
_NAME = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME_HINT = "Use small letters, digits and dashes, such as `learner`."


def _role(run: str, nodes: int = 1, resources: ResourceRequest | None = None) -> RoleSpec:
    return RoleSpec("", run, nodes, resources or ResourceRequest())


def roles(resources: Table, *, nodes_max: int, script_bytes_max: int) -> Shape:
    """Roles by name, in the order in which they are written."""
    table = Table(
        keys=(
            Key("nodes", whole(1, nodes_max), "Nodes of this role; one replica each; default 1."),
            Key("resources", resources.shape(), "What each of its nodes has to give."),
            Key("run", script(script_bytes_max), "Shell text that is this role.", required=True),
        ),
        make=_role,
        elsewhere={"command": "run", "replicas": "nodes", "count": "nodes", "instances": "nodes", "num_nodes": "nodes"},
    )
    plain = mapping_of(table.shape(), most=ROLES_MAX, what="roles", key=_NAME, key_hint=_NAME_HINT)

    def read(entry: Entry) -> tuple[RoleSpec, ...]:
        if isinstance(entry.value, Mapping):
            _check_names(entry, entry.value)
        found = plain.read(entry)
        assert isinstance(found, Mapping), "what a mapping is read as"
        named = tuple(replace(spec, name=role) for role, spec in found.items())
        if sum(spec.nodes for spec in named) > nodes_max:
            raise entry.wrong(f"together they ask for more than {nodes_max} nodes")
        return named

    def write(found: object) -> object:
        assert isinstance(found, tuple), "what is read above"
        return plain.write({spec.name: spec for spec in found})

    return Shape(read, {**plain.schema, "minProperties": 1}, write, table)


def _check_names(entry: Entry, given: Mapping[str, object]) -> None:
    """Raises Bad."""
    if not given:
        raise entry.wrong("it names no role", "Write `NAME: {nodes: 1, run: ...}` for each, or leave the key out.")
    taken = [role for role in TAKEN if role in given]
    for role in taken:
        entry.note(f"'{role}' cannot be a role: {TAKEN[role]}", "Call it `leader`.", step=role)
    if taken:
        raise Bad


def _stop_when() -> Shape:
    one = name("a role")
    several = list_of(one, most=ROLES_MAX, what="roles")

    def read(entry: Entry) -> object:
        if not isinstance(entry.value, list):
            return (one.read(entry),)
        if not entry.value:
            raise entry.wrong("it names no role", "Write one, or leave the key out: then all roles have to end.")
        found = several.read(entry)
        if isinstance(found, Sequence) and len(set(found)) < len(found):
            raise entry.wrong("a role is named twice", "Name each once.")
        return found

    def write(found: object) -> object:
        return found[0] if isinstance(found, tuple) and len(found) == 1 else several.write(found)

    return Shape(read, {"anyOf": [one.schema, {**several.schema, "minItems": 1}]}, write)


STOP_WHEN = _stop_when()


def check_roles(entry: Entry, read: Mapping[str, object]) -> None:
    """Raises Bad: a key that each role has for itself, or an end that no role decides."""
    given = read.get("roles")
    known = [role.name for role in given if isinstance(role, RoleSpec)] if isinstance(given, tuple) else []
    before = len(entry.problems)
    for key in IN_EACH_ROLE if known else ():
        if key in read:
            entry.note(f"with roles, '{key}' belongs into each of them", f"Write it under roles.{known[0]}.", step=key)
    deciding = read.get("stop_when")
    for role in deciding if isinstance(deciding, tuple) else ():
        if role not in known:
            hint = f"The roles are {', '.join(known)}." if known else "Only a job with `roles` has one that ends it."
            entry.note(f"stop_when: {show_value(role)} is no role of this job", hint, step="stop_when")
    if len(entry.problems) > before:
        raise Bad
