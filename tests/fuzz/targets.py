"""Every target by the name it has on the command line."""

from tests.fuzz.aws_chunked import AWS_CHUNKED_TARGET
from tests.fuzz.canonical import CANONICAL_TARGET
from tests.fuzz.documents import CONTROL_TARGET, COPY_SOURCE_TARGET
from tests.fuzz.forms import FORM_HEAD_TARGET, FORM_TARGET
from tests.fuzz.heads import HEAD_TARGET
from tests.fuzz.http_chunked import HTTP_CHUNKED_TARGET
from tests.fuzz.policies import POLICY_TARGET

TARGETS = {
    "head": HEAD_TARGET,
    "canonical": CANONICAL_TARGET,
    "aws-chunked": AWS_CHUNKED_TARGET,
    "http-chunked": HTTP_CHUNKED_TARGET,
    "form": FORM_TARGET,
    "form-head": FORM_HEAD_TARGET,
    "policy": POLICY_TARGET,
    "copy-source": COPY_SOURCE_TARGET,
    "control": CONTROL_TARGET,
}
