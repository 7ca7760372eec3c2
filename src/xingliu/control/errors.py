"""What can go wrong between deciding and acting."""

from dataclasses import dataclass
from typing import ClassVar

from xingliu.kernel.errors import XingliuError


@dataclass(eq=False)
class NotInControl(XingliuError):
    """Another control plane has taken over this state; this one may not write any more."""

    code: ClassVar[str] = "not_in_control"
    hint: ClassVar[str] = "Use the one that took over, or stop it and run `xl up` again."


@dataclass(eq=False)
class StoreUnavailable(XingliuError):
    """The store did not answer: {why}"""

    code: ClassVar[str] = "store_unavailable"
    hint: ClassVar[str] = "Nothing was changed. Check the database, or the disk it is on, and try again."
    why: str


@dataclass(eq=False)
class StalePlan(XingliuError):
    """The plan of cycle {cycle} was made for a world that has changed since."""

    code: ClassVar[str] = "stale_plan"
    hint: ClassVar[str] = "Nothing was changed; the next cycle decides anew."
    cycle: int


@dataclass(eq=False)
class LauncherUnavailable(XingliuError):
    """Replicas cannot be started or stopped now: {why}"""

    code: ClassVar[str] = "launcher_unavailable"
    hint: ClassVar[str] = "What runs goes on; the next cycle tries again."
    why: str


@dataclass(eq=False)
class Forbidden(XingliuError):
    """{user} may not do this: it needs {verb} on {what}."""

    code: ClassVar[str] = "forbidden"
    hint: ClassVar[str] = "Ask an owner of the tenant, or the cloud's admin, for a role that has {verb}."
    user: str
    verb: str
    what: str


@dataclass(eq=False)
class BadCredentials(XingliuError):
    """This key is not known, or was revoked."""

    code: ClassVar[str] = "bad_credentials"
    hint: ClassVar[str] = "Log in again with `xl login`, or ask for a new key: `xl key create`."


@dataclass(eq=False)
class NotRunning(XingliuError):
    """{what} is not running, so there is no sandbox to enter."""

    code: ClassVar[str] = "not_running"
    hint: ClassVar[str] = "`xl ps` shows what runs; logs of what ended: `xl logs`."
    what: str


@dataclass(eq=False)
class PathOutside(XingliuError):
    """{path} leads out of the job's folder."""

    code: ClassVar[str] = "path_outside"
    hint: ClassVar[str] = "Name a path inside $XL_JOB_DIR, relative to it."
    path: str


@dataclass(eq=False)
class BlobMismatch(XingliuError):
    """The uploaded folder's bytes hash to {got}, not to {blob}."""

    code: ClassVar[str] = "blob_mismatch"
    hint: ClassVar[str] = "It was damaged on the way; upload it again."
    blob: str
    got: str


@dataclass(eq=False)
class BlobTooLarge(XingliuError):
    """The packed working folder is larger than {limit_bytes} bytes."""

    code: ClassVar[str] = "blob_too_large"
    hint: ClassVar[str] = "List what jobs do not need in .xlignore, or put data where jobs can read it."
    limit_bytes: int


@dataclass(eq=False)
class DiskFull(XingliuError):
    """The cloud's disk has {free} free; it needs {needed}."""

    code: ClassVar[str] = "disk_full"
    hint: ClassVar[str] = "Nothing was changed. Free space on the file system of XL_HOME, or move it to a larger one."
    free: str
    needed: str


@dataclass(eq=False)
class SecretGone(XingliuError):
    """Secret {name} was deleted after the job that asks for it was submitted."""

    code: ClassVar[str] = "secret_gone"
    hint: ClassVar[str] = "Create it again with `xl secret create {name}`, then submit the job again."
    name: str


@dataclass(eq=False)
class CannotUnseal(XingliuError):
    """Secret {name} cannot be read with this cloud's key file."""

    code: ClassVar[str] = "cannot_unseal"
    hint: ClassVar[str] = "A restored backup does not contain the key file: put the old one back, or create the secret anew."
    name: str


@dataclass(eq=False)
class DeliveryFailed(XingliuError):
    """{url} did not take the notification: {why}"""

    code: ClassVar[str] = "delivery_failed"
    hint: ClassVar[str] = "It is tried again, each time later."
    url: str
    why: str


@dataclass(eq=False)
class DeliveryRefused(DeliveryFailed):
    """{url} refused it for good: {why}"""

    code: ClassVar[str] = "delivery_refused"
    hint: ClassVar[str] = "It is not tried again; `notify` of the job file says who is told."


@dataclass(eq=False)
class MailServerDown(DeliveryFailed):
    """The mail server {url} takes no mail now: {why}"""

    code: ClassVar[str] = "mail_server_down"
    hint: ClassVar[str] = "All mail waits until it does. Check `mail` in the operator file: `xl cloud show`."


@dataclass(eq=False)
class NoMailServer(XingliuError):
    """This cloud cannot mail: its operator file names no mail server."""

    code: ClassVar[str] = "no_mail_server"
    hint: ClassVar[str] = "Use `url` under notify, or have an operator add to the file: mail: {{host: ..., from: ...}}."


@dataclass(eq=False)
class IdempotencyConflict(XingliuError):
    """Idempotency key {key} was used before, for another request."""

    code: ClassVar[str] = "idempotency_conflict"
    hint: ClassVar[str] = "Use a new key for a new request."
    key: str


@dataclass(eq=False)
class TooMany(XingliuError):
    """There are already {limit} {what}; that is the most this cloud keeps."""

    code: ClassVar[str] = "too_many"
    hint: ClassVar[str] = "{way_out}"
    what: str
    limit: int
    way_out: str


@dataclass(eq=False)
class AmbiguousName(XingliuError):
    """More than one {noun} is meant by {name}: {candidates}"""

    code: ClassVar[str] = "ambiguous_name"
    hint: ClassVar[str] = "Write one of them in full."
    noun: str
    name: str
    candidates: str


@dataclass(eq=False)
class WholeArray(XingliuError):
    """{name} is an array of {size} jobs; one of them has to be named."""

    code: ClassVar[str] = "whole_array"
    hint: ClassVar[str] = "Name it by its index, such as {example}; `xl why` and `xl stop` take the whole."
    name: str
    size: int
    example: str


@dataclass(eq=False)
class HasSchedule(XingliuError):
    """{name} has a schedule, and this submits jobs once."""

    code: ClassVar[str] = "has_schedule"
    hint: ClassVar[str] = "`xl run` keeps such a file as a schedule (POST /v1/schedules); without `schedule` it is a job."
    name: str


@dataclass(eq=False)
class NoSchedule(XingliuError):
    """{name} has no schedule."""

    code: ClassVar[str] = "no_schedule"
    hint: ClassVar[str] = "Add one, such as `schedule: '0 3 * * *'`, or submit it as a job: `xl run FILE`."
    name: str


@dataclass(eq=False)
class AlreadyScheduled(XingliuError):
    """Project {project} has a schedule {name} already, of another file."""

    code: ClassVar[str] = "already_scheduled"
    hint: ClassVar[str] = "Stop that first, `xl schedule stop {name}`, or give this another name."
    name: str
    project: str


@dataclass(eq=False)
class NothingToWaitFor(XingliuError):
    """after: there is no job or array {name} in project {project}."""

    code: ClassVar[str] = "nothing_to_wait_for"
    hint: ClassVar[str] = "A job waits for what was submitted before to the same project: `xl ps -a --project {project}`."
    name: str
    project: str


@dataclass(eq=False)
class NoProjectChosen(XingliuError):
    """{user} sees several projects, or none, and none of them is the default."""

    code: ClassVar[str] = "no_project_chosen"
    hint: ClassVar[str] = "Name one as TENANT/PROJECT: `project:` in the file, or `--project`; `xl project ls` lists them."
    user: str


@dataclass(eq=False)
class BrokenRule(XingliuError):
    """The store refused a change: {rule}."""

    code: ClassVar[str] = "broken_rule"
    hint: ClassVar[str] = "Nothing was changed. This is a defect of xingliu; please report it with the line above."
    rule: str


@dataclass(eq=False)
class LastAdmin(XingliuError):
    """{user} is the cloud's last admin."""

    code: ClassVar[str] = "last_admin"
    hint: ClassVar[str] = "Create another admin first: `xl user create NAME --role admin`."
    user: str


@dataclass(eq=False)
class BadSelection(XingliuError):
    """{why}"""

    code: ClassVar[str] = "bad_selection"
    hint: ClassVar[str] = "Name jobs, or select them by project, queue, user, state or name; `all` means every one you see."
    why: str


@dataclass(eq=False)
class NoHoldReason(XingliuError):
    """Holding queue {queue} needs a reason of 1 to {longest} characters."""

    code: ClassVar[str] = "no_hold_reason"
    hint: ClassVar[str] = "It is shown to everyone whose job waits there: `--reason 'power is out'`."
    queue: str
    longest: int


@dataclass(eq=False)
class NoReason(XingliuError):
    """Taking {node} out or back needs a reason of 1 to {longest} characters."""

    code: ClassVar[str] = "no_reason"
    hint: ClassVar[str] = "It is shown to everyone whose job waits for the node: `--reason 'new fan'`."
    node: str
    longest: int


@dataclass(eq=False)
class NotChangeable(XingliuError):
    """{job} is {state}; only what waits can be asked for otherwise."""

    code: ClassVar[str] = "not_changeable"
    hint: ClassVar[str] = "Stop it and run another: `xl stop {job}`."
    job: str
    state: str


@dataclass(eq=False)
class RoomBeingMade(XingliuError):
    """Others are stopped so that {job} can start as it is; it cannot be changed now."""

    code: ClassVar[str] = "room_being_made"
    hint: ClassVar[str] = "Let it start, or stop it and run another: `xl stop {job}`."
    job: str
