-- Multipart uploads that nobody has completed or aborted, and the key that began them; written in batches. Under no MAC:
-- nothing decides by it, and it may be lost. Times are Unix seconds; completing_at is 0 while nobody completes it, and -1
-- for one that is over, which stays for a minute under no key.

CREATE TABLE nqgate.upload (
  bucket        text   COLLATE "C",
  object_key    bytea,
  upload_id     bytea,
  access_key_id text   COLLATE "C" NOT NULL,
  begun_at      bigint NOT NULL,
  completing_at bigint NOT NULL,
  PRIMARY KEY (bucket, object_key, upload_id)
);

CREATE INDEX upload_of_access_key ON nqgate.upload (access_key_id, begun_at);
CREATE INDEX upload_begun ON nqgate.upload (begun_at);

-- Why requests were refused: a sample, for a week. Under no MAC: nothing decides by it. at is Unix seconds, told is JSON.

CREATE TABLE nqgate.refused (
  request_id text   COLLATE "C" PRIMARY KEY,
  at         bigint NOT NULL,
  account    text   COLLATE "C" NOT NULL,
  told       text   NOT NULL
);

CREATE INDEX refused_at ON nqgate.refused (at);
