import io
import json
import zipfile
from typing import Any

import pytest

from gateway.cli import foreign_keys
from gateway.cli.foreign_keys import ForeignKey, read_foreign_keys
from keystore.errors import InvalidInput

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
OTHER = "another-secret-of-20"


def shown(octets: bytes | str) -> list[tuple[str, str, str, bool]]:
    found = read_foreign_keys(octets if isinstance(octets, bytes) else octets.encode())
    return [(one.access_key_id, one.secret.expose(), one.label, one.disabled) for one in found]


def archive(**files: Any) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, value in files.items():
            made.writestr(f"iam-assets/{name}.json", value if isinstance(value, str) else json.dumps(value))
    return packed.getvalue()


# ---- pairs ----


@pytest.mark.parametrize(
    "text",
    [
        f"AKIAONE {SECRET}\nAKIATWO\t{OTHER}  two words\n",
        f"\ufeff# old keys\n\nAccess key ID,Secret access key\r\nAKIAONE,{SECRET}\r\nAKIATWO,{OTHER},two words\r\n",
        f'AKIAONE,"{SECRET}"\nAKIATWO,{OTHER},"two words"',
    ],
)
def test_pairs_by_blanks_or_commas(text: str) -> None:
    assert shown(text) == [("AKIAONE", SECRET, "", False), ("AKIATWO", OTHER, "two words", False)]


@pytest.mark.parametrize(
    "text",
    ["AKIAONE", f"AKIAONE,{SECRET},a,b", f'AKIAONE,"{SECRET}', f"User name,Access key ID\nann,{SECRET}"],
)
def test_a_line_that_is_no_pair_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="line 1") as refused:
        read_foreign_keys(text.encode())
    assert SECRET not in str(refused.value)


# ---- Garage ----

GARAGE = f"""Key name: backup job
Key ID: GK31c2f218a2e44f485b94239e
Secret key: {SECRET}
Can create buckets: false

Key-specific bucket aliases:
"""
GARAGE_2 = f"""==== ACCESS KEY INFORMATION ====
Key ID:              GK31c2f218a2e44f485b94239e
Key name:            backup job
Secret key:          {SECRET}
Created:             2025-06-10 10:00:00
"""
GARAGE_JSON = {"accessKeyId": "GK31c2f218a2e44f485b94239e", "name": "backup job", "secretAccessKey": SECRET}


@pytest.mark.parametrize("text", [GARAGE, GARAGE_2, json.dumps(GARAGE_JSON), json.dumps([GARAGE_JSON])])
def test_garage_as_it_shows_its_keys(text: str) -> None:
    assert shown(text) == [("GK31c2f218a2e44f485b94239e", SECRET, "backup job", False)]


def test_several_keys_of_garage_after_each_other() -> None:
    second = GARAGE.replace("GK31", "GK99").replace(SECRET, OTHER).replace("backup job", "")
    assert [one[1] for one in shown(GARAGE + second)] == [SECRET, OTHER]


def test_a_key_of_garage_without_its_secret_says_how_it_is_shown() -> None:
    with pytest.raises(InvalidInput, match="--show-secret"):
        shown(GARAGE.replace(f"Secret key: {SECRET}\n", ""))


def test_a_key_that_expired_in_garage_is_disabled() -> None:
    assert shown(json.dumps({**GARAGE_JSON, "expired": True}))[0][3]


# ---- MinIO ----

USERS = {"ann": {"secretKey": SECRET, "status": "enabled"}, "bob": {"secretKey": OTHER, "status": "disabled"}}
SERVICE_ACCOUNTS = {
    "u4ccRswj62HV3Ifwima7": {
        "parent": "ann", "accessKey": "u4ccRswj62HV3Ifwima7", "secretKey": OTHER, "groups": None, "claims": {},
        "sessionPolicy": None, "status": "on", "name": "backup job", "description": "",
    }
}  # fmt: skip


def test_the_export_of_minio_with_users_and_service_accounts() -> None:
    assert shown(archive(policies={"a": {}}, users=USERS, svcaccts=SERVICE_ACCOUNTS)) == [
        ("ann", SECRET, "", False),
        ("bob", OTHER, "", True),
        ("u4ccRswj62HV3Ifwima7", OTHER, "backup job", False),
    ]


def test_one_file_of_the_export_alone() -> None:
    assert [one[0] for one in shown(json.dumps(USERS))] == ["ann", "bob"]


@pytest.mark.parametrize(
    "octets",
    [archive(policies={}), archive(users="{"), archive(users={"ann": 5}), archive(users=USERS)[:-30]],
    ids=["no users", "no JSON", "no record", "cut off"],  # an archive holds the time it was made at
)
def test_an_archive_that_is_no_export_is_refused(octets: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_foreign_keys(octets)


def test_what_unpacks_to_more_than_a_file_may_be_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_keys, "MAX_FILE", 4000)
    with pytest.raises(InvalidInput, match="more than"):
        read_foreign_keys(archive(users=" " * 100_000))
    with pytest.raises(InvalidInput, match="larger"):
        read_foreign_keys(b"x" * 4001)


# ---- other JSON, and what is refused ----


def test_keys_as_aws_and_as_this_gateway_show_them() -> None:
    aws = {"AccessKey": {"UserName": "ann", "AccessKeyId": "AKIAONE", "SecretAccessKey": SECRET, "Status": "Active"}}
    ours = {"access_key_id": "NQAKone", "secret_access_key": OTHER, "label": "backup"}
    assert shown(json.dumps([aws, ours])) == [("AKIAONE", SECRET, "ann", False), ("NQAKone", OTHER, "backup", False)]


@pytest.mark.parametrize(
    "text",
    [
        "", "# nothing\n", "{}", "[]", "[5]", "{", '{"ann": 5}', '{"ann": {"status": "on"}}', "[" * 20_000,
        f"a/b {SECRET}", "AKIAONE short", f"AKIAONE {'x' * 129}", f"AKIAONE {SECRET}\nAKIAONE {OTHER}",
    ],
)  # fmt: skip
def test_anything_else_is_refused_whole(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_foreign_keys(text.encode())
    assert SECRET not in str(refused.value)


def test_octets_that_are_no_text_are_refused() -> None:
    with pytest.raises(InvalidInput, match="neither text"):
        read_foreign_keys(b"\xff\xfe\x00a")


def test_a_secret_is_not_printed() -> None:
    [found] = read_foreign_keys(f"AKIAONE {SECRET}".encode())
    assert isinstance(found, ForeignKey)
    assert SECRET not in repr(found)
