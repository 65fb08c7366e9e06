import json

from gateway.console.openapi import OPERATIONS, specification
from gateway.console.rest import Rest as Handlers
from tests.support.plane import Rest


def test_every_operation_is_described_and_handled() -> None:
    described = {(method.upper(), path) for path, ways in specification()["paths"].items() for method in ways}
    assert described == {(one.method, one.path) for one in OPERATIONS}
    for one in OPERATIONS:
        assert callable(getattr(Handlers, one.name))


def test_every_reference_leads_somewhere() -> None:
    told = specification()
    schemas = told["components"]["schemas"]
    references = {part.split('"')[0] for part in json.dumps(told).split('"#/components/schemas/')[1:]}
    assert references <= schemas.keys()
    assert {"Key", "KeyBody", "ProblemAnswer"} <= schemas.keys()


def test_no_answer_to_a_get_has_a_field_for_a_secret() -> None:
    told = specification()
    for ways in told["paths"].values():
        answers = json.dumps(ways.get("get", {}).get("responses", {}))
        assert "NewKeyAnswer" not in answers
        assert "RolledKey" not in answers
    schemas = told["components"]["schemas"].items()
    holding = {name for name, schema in schemas if "secret_access_key" in schema.get("properties", {})}
    assert holding == {"NewKeyAnswer"}


async def test_the_specification_is_for_everybody_and_names_nothing_of_the_keystore(rest: Rest) -> None:
    reply, told = await rest.asked("GET", "/openapi.json", token="")
    assert reply.status == 200
    assert told == json.loads(json.dumps(specification()))
