"""The HTTP contract: golden in docs/openapi.json."""

import json
import os
from pathlib import Path
from typing import Any

from xingliu.api.openapi import document

GOLDEN = Path(__file__).parent.parent / "docs" / "openapi.json"


def test_the_golden_openapi_document_is_current() -> None:
    """`./dev fix` writes it anew."""
    text = json.dumps(document(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("XL_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert GOLDEN.read_text() == text


def test_every_reference_of_the_document_leads_somewhere() -> None:
    found = document()
    assert found["openapi"].startswith("3.1")
    schemas = found["components"]["schemas"]
    assert {name for name in _references(found) if name.removeprefix("#/components/schemas/") not in schemas} == set()


def test_every_operation_says_what_it_does_and_how_it_fails() -> None:
    operations = [one for path in document()["paths"].values() for one in path.values()]
    assert all(one.get("description") and "default" in one["responses"] for one in operations)
    assert len({one["operationId"] for one in operations}) == len(operations)


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(inner) for inner in value.values()))
    return set().union(*(_references(inner) for inner in value)) if isinstance(value, list) else set()
