from gateway.config import LimitsSettings
from gateway.wire.limits import Limits


def test_every_limit_is_a_setting_with_a_reason_and_every_setting_is_a_limit() -> None:
    fields = LimitsSettings.model_fields
    assert set(fields) == set(Limits._fields)
    assert all(field.description for field in fields.values())
