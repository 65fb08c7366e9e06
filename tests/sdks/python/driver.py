"""S3 calls with one Python library, asked for on stdin and answered on stdout, one JSON line each.

`python driver.py CLIENT`, in whichever environment has the library. It imports nothing of the project, and speaks the
same lines as ../js/driver.mjs: {"call": …} → {"result": …}, {"error": "Name: message"} or {"unsupported": true}.
"""

import importlib
import json
import os
import sys
from typing import Any

MODULES = {
    "boto3": "with_boto3",
    "awscrt": "with_awscrt",
    "minio-py": "with_minio",
    "s3fs": "with_s3fs",
    "obstore": "with_obstore",
    "pyarrow": "with_pyarrow",
}
MAX_ERROR = 300


class Settings:
    """Where and as whom. `host`: with its port."""

    def __init__(self) -> None:
        self.endpoint = os.environ["SDK_ENDPOINT"]
        self.scheme, _, self.host = self.endpoint.partition("://")
        self.access_key_id = os.environ["SDK_ACCESS_KEY_ID"]
        self.secret_access_key = os.environ["SDK_SECRET_ACCESS_KEY"]
        self.region = os.environ["SDK_REGION"]
        self.ca = os.environ.get("SDK_CA")

    @property
    def secure(self) -> bool:
        return self.scheme == "https"


def answer(client: Any, line: str) -> dict[str, Any]:
    question = json.loads(line)
    call = getattr(client, question.pop("call"), None)
    if call is None:
        return {"unsupported": True}
    try:
        return {"result": call(**question)}
    except Exception as error:  # whatever the library raises is what its user would see
        return {"error": f"{type(error).__name__}: {error}".replace("\n", " ")[:MAX_ERROR]}


def main() -> None:
    client = importlib.import_module(MODULES[sys.argv[1]]).Client(Settings())
    for line in sys.stdin:
        print(json.dumps(answer(client, line)), flush=True)


if __name__ == "__main__":
    main()
