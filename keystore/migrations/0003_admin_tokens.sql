-- Admin tokens: with which people and programs use the control plane. No secret and no seal: a hash stands in the record.

CREATE TABLE admin_token (
  token_id   TEXT    PRIMARY KEY NOT NULL,
  account    TEXT    NOT NULL,
  version    INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  record     BLOB    NOT NULL,
  kek_id     TEXT    NOT NULL,
  mac        BLOB    NOT NULL
) STRICT;

ALTER TABLE change ADD COLUMN token TEXT;
CREATE INDEX change_of_token ON change (token) WHERE token IS NOT NULL;
DROP INDEX change_of_account;
CREATE INDEX change_of_account ON change (account) WHERE access_key_id IS NULL AND bucket IS NULL AND token IS NULL;
