"""What one actor can see of a unit; the one place where queries are narrowed.

What an actor cannot see does not exist for it: the answer is Unknown, never Forbidden.
"""

import re
from collections.abc import Mapping

from xingliu.control.errors import AmbiguousName, Forbidden, NoProjectChosen, WholeArray
from xingliu.control.nouns import ID_PREFIX
from xingliu.control.ports import Unit
from xingliu.kernel.errors import Unknown
from xingliu.kernel.ids import ArrayId, JobId, ProjectId, TenantId, UserId
from xingliu.tenancy.model import Actor, Project
from xingliu.tenancy.roles import TABLE, Verb, may, sees, sees_all
from xingliu.workloads.arrays import Array
from xingliu.workloads.model import Job

SHORTEST_PREFIX = 4
DEFAULT_PROJECT = "default"
_ELEMENT = re.compile(r"(.+)\[(\d{1,7})\]\Z")


class Scope:
    """One actor's view of one unit; made anew for each request, and cheap to make."""

    def __init__(self, unit: Unit, actor: Actor) -> None:
        self._unit = unit
        self.actor = actor
        self.sees_all = sees_all(actor)
        self._projects: frozenset[ProjectId] | None = None

    def visible_projects(self) -> frozenset[ProjectId] | None:
        """The ids of the projects this actor sees; None where it sees all."""
        if self.sees_all:
            return None
        if self._projects is None:
            self._projects = frozenset(self._find_projects())
        return self._projects

    def visible_tenants(self) -> frozenset[TenantId] | None:
        """The tenants this actor knows of; None where it sees all."""
        if self.sees_all:
            return None
        scopes = {TenantId(binding.scope.partition("/")[0]) for binding in self.actor.bindings}
        return frozenset(scopes | ({self.actor.tenant} if self.actor.tenant else set()))

    def owned_tenants(self, verb: Verb) -> frozenset[TenantId] | None:
        """The tenants as a whole in which this actor may do `verb`; None where it is all of them."""
        if may(self.actor, verb):
            return None
        return frozenset(tenant for tenant in self.visible_tenants() or () if may(self.actor, verb, tenant=tenant))

    def narrow(self, where: Mapping[str, object] | None = None) -> dict[str, object]:
        """`where` with what this actor cannot see filtered out, by `project`.

        Raises Unknown when the caller names a project that this actor cannot see.
        """
        narrowed = dict(where or {})
        visible = self.visible_projects()
        if visible is None:
            return narrowed
        asked = narrowed.get("project")
        if asked is None:
            narrowed["project"] = visible
        elif isinstance(asked, frozenset):
            narrowed["project"] = asked & visible
        elif asked not in visible:
            raise Unknown("project", str(asked))
        return narrowed

    def narrow_by(self, verb: Verb) -> dict[str, object]:
        """A filter to the projects where this actor may do `verb`; empty where that is all of them."""
        if may(self.actor, verb):
            return {}
        return {"project": frozenset(p for p in self._find_projects() if may(self.actor, verb, project=p))}

    def job(self, name: str) -> Job:
        """By id, by an id's unique prefix, or the newest of that name; of an array with its index, `sweep[3]`.

        Raises Unknown, AmbiguousName, WholeArray.
        """
        found = self.job_or_array(name)
        if isinstance(found, Array):
            raise WholeArray(name[:100], found.size, f"{found.name}[{found.indices.split('-')[0].split(',')[0]}]")
        return found

    def array(self, name: str) -> Array:
        """As `job`, but a whole array. Raises Unknown, AmbiguousName."""
        found = self.job_or_array(name)
        if isinstance(found, Array):
            return found
        raise Unknown("array", name)

    def job_or_array(self, name: str, *, project: ProjectId | None = None) -> Job | Array:
        """What is meant by a name, in one project where one is given. Raises Unknown, AmbiguousName."""
        where = self.narrow({} if project is None else {"project": project})
        if (element := _ELEMENT.match(name)) is not None:
            return self._element(self.job_or_array(element.group(1), project=project), int(element.group(2)), name)
        exact = self._unit.jobs.get(JobId(name)) or self._unit.arrays.get(ArrayId(name))
        if exact is not None and self._sees_project(exact.project) and project in (None, exact.project):
            return exact
        alike = self._alike(name, where)
        if len(alike) == 1:
            return alike[0]
        named = self._unit.jobs.find({**where, "name": name}, limit=1, newest_first=True)
        if named:
            return self._whole(named[0])
        if alike:
            raise AmbiguousName("job", name, ", ".join(found.id for found in alike))
        raise Unknown("job", name)

    def users_called(self, name: str) -> frozenset[UserId]:
        """The ids that are meant by a user's name: itself, and that name in each tenant this actor knows of."""
        if "/" in name:
            return frozenset({UserId(name)})
        known = self.visible_tenants()
        tenants = known if known is not None else frozenset(tenant.id for tenant in self._unit.tenants.find())
        return frozenset({UserId(name), *(UserId(f"{tenant}/{name}") for tenant in tenants)})

    def _element(self, array: Job | Array, index: int, name: str) -> Job:
        if isinstance(array, Array):
            found = self._unit.jobs.find({"array_id": array.id, "array_index": index}, limit=1)
            if found:
                return found[0]
        raise Unknown("job", name)

    def _whole(self, job: Job) -> Job | Array:
        """The array of an element, for all of them have its name; any other job as it is."""
        array = None if job.array_id is None else self._unit.arrays.get(job.array_id)
        return job if array is None else array

    def project(self, name: str | None) -> Project:
        """`tenant/name`, a bare name that is unique among the visible ones, or None: the actor's default or only one.

        Raises Unknown, AmbiguousName, NoProjectChosen.
        """
        if name is None:
            return self._default_project()
        if "/" not in name:
            return self._bare_project(name)
        found = self._unit.projects.get(ProjectId(name))
        if found is None or not self._sees_project(found.id):
            raise Unknown("project", name)
        return found

    def require(self, verb: Verb, *, tenant: TenantId | None = None, project: ProjectId | None = None) -> None:
        """Raises Unknown where it is not visible, Forbidden where it is but `verb` is not permitted."""
        if may(self.actor, verb, tenant=tenant, project=project):
            return
        what = project or tenant
        if what is not None and not sees(self.actor, tenant=tenant, project=project):
            raise Unknown("project" if project else "tenant", what)
        raise Forbidden(self.actor.user, verb, what or "the whole cloud")

    def require_somewhere(self, verb: Verb) -> None:
        """For what everyone shares, such as nodes and queues: some role of the actor must have `verb`. Raises Forbidden."""
        if not any(verb in TABLE[binding.role] for binding in self.actor.bindings):
            raise Forbidden(self.actor.user, verb, "the whole cloud")

    def _sees_project(self, project: ProjectId) -> bool:
        return self.sees_all or sees(self.actor, project=project)

    def _find_projects(self) -> set[ProjectId]:
        scopes = {binding.scope for binding in self.actor.bindings}
        tenants = frozenset(scope for scope in scopes if "/" not in scope)
        found = {ProjectId(scope) for scope in scopes if "/" in scope}
        if tenants:
            found |= {project.id for project in self._unit.projects.find({"tenant": tenants})}
        return found

    def _alike(self, prefix: str, where: Mapping[str, object]) -> list[Job | Array]:
        """At most two visible jobs and two arrays whose ids begin with `prefix`; elements where no array's does."""
        if len(prefix) < SHORTEST_PREFIX:
            return []
        begun = {**where, ID_PREFIX: prefix}
        arrays = self._unit.arrays.find(begun, limit=2)
        alone = {"array_id": None} if arrays else {}
        return [*arrays, *self._unit.jobs.find({**begun, **alone}, limit=2)]

    def _bare_project(self, name: str) -> Project:
        visible = self.visible_projects()
        projects = (
            self._unit.projects.find() if visible is None else [p for p in map(self._unit.projects.get, sorted(visible)) if p]
        )
        named = [project for project in projects if project.name == name]
        if len(named) > 1:
            raise AmbiguousName("project", name, ", ".join(project.id for project in named))
        if not named:
            raise Unknown("project", name)
        return named[0]

    def _default_project(self) -> Project:
        visible = self.visible_projects()
        if visible is not None and len(visible) == 1:
            return self.project(next(iter(visible)))
        preferred = self._unit.projects.get(ProjectId(f"{self.actor.tenant or DEFAULT_PROJECT}/{DEFAULT_PROJECT}"))
        if preferred is not None and self._sees_project(preferred.id):
            return preferred
        found = self._unit.projects.find(limit=2) if visible is None else []
        if len(found) != 1:
            raise NoProjectChosen(self.actor.user)
        return found[0]
