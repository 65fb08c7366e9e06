-- What the control plane asks: keys page by page, the newest first; and that a sign-in is no change of the account.

CREATE INDEX access_key_made ON access_key (created_at, access_key_id);

DROP INDEX change_of_account;
CREATE INDEX change_of_account ON change (account)
  WHERE access_key_id IS NULL AND bucket IS NULL AND token IS NULL AND kind <> 'console.sign_in';
