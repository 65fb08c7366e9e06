-- The keystore. Bytes decide (record, body, mac); the other columns are an index, cross-checked when a row is read.
-- Text is compared byte by byte (BINARY). application_id is "NQKS".

PRAGMA application_id = 1313950547;

CREATE TABLE store (
  only_row   INTEGER PRIMARY KEY CHECK (only_row = 1),
  store_id   TEXT    NOT NULL,
  generation INTEGER NOT NULL,
  seq        INTEGER NOT NULL,
  head       BLOB    NOT NULL,
  lease_ms   INTEGER NOT NULL,
  min_kek    TEXT    NOT NULL,
  protocol   INTEGER NOT NULL,
  kek_id     TEXT    NOT NULL,
  canary     BLOB    NOT NULL,
  mac        BLOB    NOT NULL
) STRICT;

-- The log of every mutation, contiguous from 1, and the audit log. Ids ever deleted stay known here.
CREATE TABLE change (
  seq           INTEGER PRIMARY KEY,
  request_id    TEXT    NOT NULL UNIQUE,
  kind          TEXT    NOT NULL,
  account       TEXT    NOT NULL,
  access_key_id TEXT,
  actor         TEXT    NOT NULL,
  at            INTEGER NOT NULL,
  body          BLOB    NOT NULL,
  record_sha256 BLOB    NOT NULL,
  kek_id        TEXT    NOT NULL,
  mac           BLOB    NOT NULL
) STRICT;

CREATE INDEX change_of_access_key ON change (access_key_id) WHERE access_key_id IS NOT NULL;
CREATE INDEX change_of_account ON change (account) WHERE access_key_id IS NULL;

CREATE TABLE account (
  name       TEXT    PRIMARY KEY NOT NULL,
  number     TEXT    NOT NULL UNIQUE,
  version    INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  record     BLOB    NOT NULL,
  kek_id     TEXT    NOT NULL,
  mac        BLOB    NOT NULL
) STRICT;

CREATE TABLE access_key (
  access_key_id TEXT    PRIMARY KEY NOT NULL,
  account       TEXT    NOT NULL,
  version       INTEGER NOT NULL,
  created_at    INTEGER NOT NULL,
  record        BLOB    NOT NULL,
  secret_sealed BLOB    NOT NULL,
  kek_id        TEXT    NOT NULL,
  mac           BLOB    NOT NULL
) STRICT;

CREATE INDEX access_key_of_account ON access_key (account, created_at, access_key_id);
