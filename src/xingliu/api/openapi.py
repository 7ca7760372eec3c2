"""The contract as a file: `python -m xingliu.api.openapi > docs/openapi.json`."""

import json
import sys
from typing import Any

from xingliu.api.app import routes
from xingliu.api.errors import ProblemOut


def document() -> dict[str, Any]:
    """OpenAPI 3.1 of every route."""
    found = routes().openapi()
    schemas: dict[str, Any] = found["components"]["schemas"]
    parts = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(parts.pop("$defs"))
    schemas["ProblemOut"] = parts
    return found


def main() -> None:
    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
