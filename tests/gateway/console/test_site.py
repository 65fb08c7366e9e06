from gateway.console.site import Refused, SiteSettings


def test_keys_are_pointed_out_after_90_days_unless_somebody_says_otherwise() -> None:
    assert SiteSettings().rotate_after == 90


def test_no_lifetime_is_forced_unless_somebody_says_so() -> None:
    assert SiteSettings().max_lifetime is None


def test_a_refusal_says_what_it_was_given() -> None:
    assert str(Refused("That token opens nothing here.")) == "That token opens nothing here."
