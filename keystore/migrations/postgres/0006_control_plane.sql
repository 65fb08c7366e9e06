-- What the control plane asks: keys page by page, the newest first; an account's refusals likewise; and that a sign-in is
-- no change of the account.

CREATE INDEX access_key_made ON nqgate.access_key (created_at, access_key_id);
CREATE INDEX refused_of_account ON nqgate.refused (account, at);

DROP INDEX nqgate.change_of_account;
CREATE INDEX change_of_account ON nqgate.change (account, seq)
  WHERE access_key_id IS NULL AND bucket IS NULL AND token IS NULL AND kind <> 'console.sign_in';
