"""Resources of operators against their types, unknown keys refused. Runs where the types are: in .venv-cluster.

`.venv-cluster/bin/python tests/cluster/operators.py`: documents as JSON on standard input; what is wrong, a line each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

TYPES = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}


def wrong(document: dict[str, Any]) -> Iterator[str]:
    from jsonschema import Draft202012Validator

    kind = document["kind"]
    schema = getattr(import_module(TYPES[document["apiVersion"]]), kind).model_json_schema(by_alias=True)
    for part in (schema, *schema.get("$defs", {}).values()):
        if "properties" in part:
            part["additionalProperties"] = False
    for error in Draft202012Validator(schema).iter_errors(document):
        yield f"{kind} {document['metadata']['name']}: {error.json_path}: {error.message[:200]}"


if __name__ == "__main__":
    for one in json.load(sys.stdin):
        for words in wrong(one):
            print(words)
