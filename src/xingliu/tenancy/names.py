"""What tenants, projects, users and secrets may be called."""

import re

from xingliu.kernel.events import CLOUD
from xingliu.tenancy.errors import BadName

NAME_LONGEST = 40
SECRET_NAME_LONGEST = 64
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\Z")
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RULE = f"names are 1 to {NAME_LONGEST} of a-z, 0-9 and -, and do not begin or end with -"
_SECRET_RULE = f"a secret becomes an environment variable: 1 to {SECRET_NAME_LONGEST} of A-Z, a-z, 0-9 and _, no digit first"


def check_name(noun: str, name: str) -> str:
    """`name`, if a tenant, project or user may be called so. Raises BadName."""
    if len(name) > NAME_LONGEST or not _NAME.match(name):
        raise BadName(noun, name[: 2 * NAME_LONGEST], _RULE, "nlp-team")
    if name == CLOUD:
        raise BadName(noun, name, "it is what the cloud itself is called", "nlp-team")
    return name


def check_secret_name(name: str) -> str:
    """`name`, if a secret may be called so. Raises BadName."""
    if len(name) > SECRET_NAME_LONGEST or not _SECRET.match(name):
        raise BadName("secret", name[: 2 * SECRET_NAME_LONGEST], _SECRET_RULE, "WANDB_API_KEY")
    return name
