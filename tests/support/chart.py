"""Run by .venv/supply's Python: Helm's own library lints a chart and renders it, and each object is held against the
schema of Kubernetes. `chart.py CHART VALUES` prints what was rendered as JSON; what is wrong goes to stderr, with 1.
"""

import json
import sys
from typing import Any

import helm_python
import kubernetes_validate
import yaml

KUBERNETES = "1.34"
FOREIGN = {"ServiceMonitor"}  # of an operator's: Kubernetes has no schema of it
ERROR = 3  # of Helm's severities; below it is advice


def rendered(chart: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    with helm_python.Chart.load(chart) as loaded:
        loaded.validate_schema(values)
        texts = loaded.render(values, name="demo", namespace="storage")
    objects = [one for name, text in texts.items() if name.endswith(".yaml") for one in yaml.safe_load_all(text)]
    return [one for one in objects if one]


def main() -> int:
    chart, file = sys.argv[1:]
    with open(file) as opened:
        values = yaml.safe_load(opened)
    try:
        objects = rendered(chart, values)
    except helm_python.HelmError as error:
        print(error, file=sys.stderr)
        return 1
    wrong = [one for one in helm_python.lint(chart, values)["messages"] if one["severity"] >= ERROR]
    for one in objects:
        if one["kind"] not in FOREIGN:
            try:
                kubernetes_validate.validate(one, KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as error:
                wrong.append({"kind": one["kind"], "error": error.message})
    print(json.dumps(objects))
    print("\n".join(map(str, wrong)), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
