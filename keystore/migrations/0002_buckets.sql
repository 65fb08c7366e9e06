-- Who a bucket name belongs to; an account's own credential at the store.

CREATE TABLE bucket (
  name    TEXT    PRIMARY KEY NOT NULL,
  account TEXT    NOT NULL,
  version INTEGER NOT NULL,
  record  BLOB    NOT NULL,
  kek_id  TEXT    NOT NULL,
  mac     BLOB    NOT NULL
) STRICT;

CREATE INDEX bucket_of_account ON bucket (account, name);

ALTER TABLE account ADD COLUMN upstream_sealed BLOB;

ALTER TABLE change ADD COLUMN bucket TEXT;
CREATE INDEX change_of_bucket ON change (bucket) WHERE bucket IS NOT NULL;
DROP INDEX change_of_account;
CREATE INDEX change_of_account ON change (account) WHERE access_key_id IS NULL AND bucket IS NULL;
