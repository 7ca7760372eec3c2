"""Every cell of role x verb, where a role holds, and who may give which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.kernel.errors import XingliuError
from xingliu.kernel.ids import ProjectId, TenantId, UserId
from xingliu.tenancy.errors import BadName, OutsideTenant, RoleTooWide, WrongScope
from xingliu.tenancy.grants import check_binding, check_grant, scope_of
from xingliu.tenancy.model import Actor, Binding, Role
from xingliu.tenancy.names import check_name, check_secret_name
from xingliu.tenancy.roles import TABLE, Verb, may, sees, sees_all

GOLDEN = """
                    admin operator finance owner member viewer
job.read            yes   yes      yes     yes   yes    yes
job.output          yes   -        -       yes   yes    yes
job.submit          yes   -        -       yes   yes    -
job.stop            yes   yes      -       yes   yes    -
job.attach          yes   -        -       yes   yes    -
secret.read         yes   -        -       yes   yes    yes
secret.write        yes   -        -       yes   yes    -
project.read        yes   yes      yes     yes   yes    yes
project.write       yes   -        -       yes   -      -
user.read           yes   yes      yes     yes   -      -
user.write          yes   -        -       yes   -      -
tenant.read         yes   yes      yes     yes   -      -
tenant.write        yes   -        -       -     -      -
queue.read          yes   yes      yes     yes   yes    yes
queue.write         yes   yes      -       -     -      -
node.read           yes   yes      yes     yes   yes    yes
node.write          yes   yes      -       -     -      -
cloud.apply         yes   yes      -       -     -      -
usage.read          yes   yes      yes     yes   yes    yes
conservation.read   yes   yes      yes     -     -      -
snapshot.read       yes   yes      -       -     -      -
"""
ACME, BETA = TenantId("acme"), TenantId("beta")
NLP, SPEECH, THEIRS = ProjectId("acme/nlp"), ProjectId("acme/speech"), ProjectId("beta/nlp")
SCOPE = {
    Role.ADMIN: "",
    Role.OPERATOR: "",
    Role.FINANCE: "",
    Role.OWNER: "acme",
    Role.MEMBER: "acme/nlp",
    Role.VIEWER: "acme/nlp",
}


def _cells() -> list[tuple[Role, Verb, bool]]:
    head, *rows = [line.split() for line in GOLDEN.strip().splitlines()]
    return [(Role(role), Verb(row[0]), cell == "yes") for row in rows for role, cell in zip(head, row[1:], strict=True)]


def _actor(*bindings: tuple[Role, str]) -> Actor:
    tenants = {TenantId(scope.partition("/")[0]) for _, scope in bindings if scope}
    tenant = tenants.pop() if len(tenants) == 1 else None
    return Actor(UserId("someone"), tenant, tuple(Binding(role, scope) for role, scope in bindings))


def test_the_golden_table_has_every_cell() -> None:
    assert len(_cells()) == len(Role) * len(Verb) == len({(role, verb) for role, verb, _ in _cells()})
    assert set(TABLE) == set(Role)


@pytest.mark.parametrize(("role", "verb", "allowed"), _cells(), ids=str)
def test_a_role_may_do_where_it_holds_what_the_table_says(role: Role, verb: Verb, allowed: bool) -> None:
    assert may(_actor((role, SCOPE[role])), verb, project=NLP) is allowed


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("role", [Role.OWNER, Role.MEMBER, Role.VIEWER])
def test_a_role_does_nothing_where_it_does_not_hold(role: Role, verb: Verb) -> None:
    actor = _actor((role, SCOPE[role]))
    assert not may(actor, verb, project=THEIRS)
    assert not may(actor, verb, tenant=BETA)
    assert not may(actor, verb)
    assert role is Role.OWNER or not (may(actor, verb, project=SPEECH) or may(actor, verb, tenant=ACME))


@pytest.mark.parametrize(
    ("bindings", "seen"),
    [
        ([(Role.ADMIN, "")], {NLP, SPEECH, THEIRS}),
        ([(Role.FINANCE, "")], {NLP, SPEECH, THEIRS}),
        ([(Role.OWNER, "acme")], {NLP, SPEECH}),
        ([(Role.VIEWER, "acme/nlp")], {NLP}),
        ([(Role.VIEWER, "acme/nlp"), (Role.MEMBER, "beta/nlp")], {NLP, THEIRS}),
        ([], set()),
    ],
)
def test_projects_exist_for_those_with_a_role_on_them(bindings: list[tuple[Role, str]], seen: set[ProjectId]) -> None:
    actor = _actor(*bindings)
    assert {project for project in (NLP, SPEECH, THEIRS) if sees(actor, project=project)} == seen
    assert sees_all(actor) is (seen == {NLP, SPEECH, THEIRS})


def test_a_tenant_whose_name_another_begins_with_is_another() -> None:
    assert not sees(_actor((Role.OWNER, "acme")), project=ProjectId("acme2/nlp"))
    assert not sees(_actor((Role.MEMBER, "acme/nlp")), project=ProjectId("acme/nlp2"))


def _gives(giver: Actor, binding: Binding) -> bool:
    try:
        check_grant(giver, binding)
    except RoleTooWide:
        return False
    return True


@pytest.mark.parametrize(
    ("giver", "given_roles"),
    [
        (Role.ADMIN, set(Role)),
        (Role.OPERATOR, {Role.OPERATOR, Role.FINANCE}),
        (Role.FINANCE, {Role.FINANCE}),
        (Role.OWNER, {Role.OWNER, Role.MEMBER, Role.VIEWER}),
        (Role.MEMBER, {Role.MEMBER, Role.VIEWER}),
        (Role.VIEWER, {Role.VIEWER}),
    ],
)
def test_nobody_gives_a_role_wider_than_their_own(giver: Role, given_roles: set[Role]) -> None:
    """Whether somebody may give roles at all is another question: `user.write`."""
    actor = _actor((giver, SCOPE[giver]))
    assert {role for role in Role if _gives(actor, Binding(role, SCOPE[role]))} == given_roles


BINDINGS = st.builds(Binding, st.sampled_from(Role), st.sampled_from(["", "acme", "beta", "acme/nlp", "acme/speech", "beta/nlp"]))


def _valid(binding: Binding) -> bool:
    try:
        check_binding(binding, None)
    except XingliuError:
        return False
    return True


@given(st.lists(BINDINGS.filter(_valid), max_size=4), BINDINGS.filter(_valid))
def test_what_is_given_lets_nobody_do_more_than_the_giver(held: list[Binding], granted: Binding) -> None:
    giver, taker = Actor(UserId("giver"), None, tuple(held)), Actor(UserId("taker"), None, (granted,))
    if _gives(giver, granted):
        for verb in Verb:
            for tenant, project in [(None, None), (ACME, None), (BETA, None), (None, NLP), (None, SPEECH), (None, THEIRS)]:
                assert may(giver, verb, tenant=tenant, project=project) or not may(taker, verb, tenant=tenant, project=project)


@pytest.mark.parametrize(
    ("binding", "tenant", "refusal"),
    [
        (Binding(Role.ADMIN, ""), None, None),
        (Binding(Role.OWNER, "acme"), "acme", None),
        (Binding(Role.VIEWER, "acme/nlp"), "acme", None),
        (Binding(Role.VIEWER, "beta/nlp"), None, None),
        (Binding(Role.ADMIN, "acme"), None, WrongScope),
        (Binding(Role.OWNER, ""), None, WrongScope),
        (Binding(Role.OWNER, "acme/nlp"), None, WrongScope),
        (Binding(Role.MEMBER, "acme"), "acme", WrongScope),
        (Binding(Role.MEMBER, "acme/"), "acme", WrongScope),
        (Binding(Role.MEMBER, "acme/nlp/x"), "acme", WrongScope),
        (Binding(Role.MEMBER, "beta/nlp"), "acme", OutsideTenant),
        (Binding(Role.ADMIN, ""), "acme", OutsideTenant),
        (Binding(Role.OWNER, "acme2"), "acme", OutsideTenant),
    ],
)
def test_a_role_holds_on_a_scope_of_its_kind(binding: Binding, tenant: str | None, refusal: type[XingliuError] | None) -> None:
    found = None
    try:
        check_binding(binding, TenantId(tenant) if tenant else None)
    except XingliuError as error:
        found = type(error)
    assert found is refusal


def test_the_scope_of_a_binding_is_a_tenant_and_perhaps_a_project() -> None:
    assert scope_of(Binding(Role.ADMIN)) == (None, None)
    assert scope_of(Binding(Role.OWNER, "acme")) == ("acme", None)
    assert scope_of(Binding(Role.MEMBER, "acme/nlp")) == ("acme", "acme/nlp")


@pytest.mark.parametrize("name", ["a", "nlp", "nlp-team", "7b", "a" * 40])
def test_names_people_may_choose(name: str) -> None:
    assert check_name("tenant", name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a b", "a/b", "a.b", "a_b", "é", "a\n", "a" * 41, "xingliu"])
def test_names_that_are_refused_with_the_rule(name: str) -> None:
    with pytest.raises(BadName) as refused:
        check_name("tenant", name)
    assert "tenant" in str(refused.value) and refused.value.advice()


@pytest.mark.parametrize(
    ("name", "good"), [("WANDB_API_KEY", True), ("_x", True), ("1A", False), ("A-B", False), ("A\n", False), ("A" * 65, False)]
)
def test_a_secrets_name_can_be_an_environment_variable(name: str, good: bool) -> None:
    if good:
        assert check_secret_name(name) == name
    else:
        with pytest.raises(BadName):
            check_secret_name(name)
