"""The file by which the CLI on this machine finds its cloud: URL and admin key, readable by its owner only."""

import json
import os
from pathlib import Path

from xingliu.compose.settings import UpSettings
from xingliu.control.actors import new_credential
from xingliu.kernel.ids import Ids


def keep_client_file(settings: UpSettings, ids: Ids, url: str) -> str:
    """Write the file, before anything lets the key in; gives the key: the one that was there, else a new one."""
    key = _read_key(settings.client_file) or new_credential(ids)
    body = {"url": url, "key": key}
    if settings.tls_cert is not None:
        body["ca"] = str(settings.tls_cert.absolute())
    partial = settings.client_file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(body, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(settings.client_file)
    return key


def _read_key(path: Path) -> str | None:
    try:
        key = json.loads(path.read_text()).get("key")
    except (OSError, ValueError, AttributeError):
        return None
    return key if isinstance(key, str) else None
