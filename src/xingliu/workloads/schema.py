"""The JSON Schema of a job file, for editors; from the same table that reads it."""

from xingliu.kernel.keytables import table_schema
from xingliu.workloads.spec_keys import JOB

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def job_schema() -> dict[str, object]:
    """JSON Schema 2020-12. It cannot say everything `read_job` checks; what it refuses, `read_job` refuses too."""
    return {"$schema": DIALECT, "title": "Xingliu job", **table_schema(JOB)}
