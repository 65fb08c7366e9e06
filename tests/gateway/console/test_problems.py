import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.config_sections import SettingsError
from gateway.console.problems import Problem, as_problem, problems
from keystore.errors import Conflict, InvalidInput, KeystoreUnavailable, NotFound, RecordRefused, WrongKek


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("a label has 1 to 64 characters"), 400),
        (NotFound("there is none"), 404),
        (Conflict("it is revoked"), 409),
        (KeystoreUnavailable("the database does not answer"), 503),
        (WrongKek("wrong key"), 503),
        (RecordRefused("it does not verify"), 500),
        (SettingsError("the store does not answer"), 503),
    ],
)
def test_each_error_of_the_keystore_has_its_status_and_its_words(error: Exception, status: int) -> None:
    problem = as_problem(error, "id")
    assert (problem.status, str(problem)) == (status, str(error))
    assert ("Retry-After" in problem.headers) is (status == 503)


def test_a_bug_is_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    problem = as_problem(RuntimeError("the secret is abc"), "req-1")
    assert (problem.status, "abc" in str(problem)) == (500, False)
    assert "req-1" in caplog.text
    assert "RuntimeError" in caplog.text


def test_wrong_fields_are_named_without_what_they_held() -> None:
    with pytest.raises(ValidationError) as wrong:
        Said.model_validate({"number": "s3cr3t", "x" * 500: 1})
    text = str(as_problem(wrong.value, "id"))
    assert "number:" in text
    assert "s3cr3t" not in text
    assert len(text) < 400


async def test_a_problem_is_an_answer_of_its_own_type() -> None:
    async def handler(request: web.Request) -> web.Response:
        raise Problem(409, "conflict", "no\r\nX-Evil: 1 <script>")

    app = web.Application(middlewares=[problems])
    app.router.add_get("/", handler)
    async with TestClient(TestServer(app)) as client:
        reply = await client.get("/")
        told = json.loads(await reply.text())
        assert (reply.status, reply.content_type) == (409, "application/problem+json")
        assert (told["title"], told["type"]) == ("Conflict", "urn:nqgate:problem:conflict")
        assert told["request_id"] == reply.headers["X-Request-Id"]
        assert "X-Evil" not in reply.headers
